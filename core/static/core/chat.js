// What makes the chat pleasant with JavaScript? Keys, what was not sent, and the figures after each answer.
(() => {
  "use strict";

  const touch = window.matchMedia("(hover: none)").matches;
  const wide = window.matchMedia("(min-width: 60rem)").matches;

  function enhance(root) {
    for (const hint of root.querySelectorAll("[data-keys]")) hint.hidden = touch;
    // On a wide screen the list of chats has a place of its own.
    if (wide) for (const list of root.querySelectorAll("[data-wide-open]")) list.open = true;
  }

  // --- Enter sends, unless somebody composes a character or has no Shift key ---
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || touch) return;
    const field = event.target.closest("textarea[data-sends]");
    if (!field) return;
    event.preventDefault();
    if (field.value.trim() || field.form.querySelector("input[type=file]").value) field.form.requestSubmit();
  });

  // --- Whoever has signed in again in another tab has another token against forgery by now ---
  document.addEventListener("htmx:configRequest", (event) => {
    const token = /(?:^|; )csrftoken=([^;]+)/.exec(document.cookie);
    if (token && event.detail.parameters.has("csrfmiddlewaretoken")) event.detail.parameters.set("csrfmiddlewaretoken", token[1]);
  });

  // --- What could not be sent stays in the form ---
  const unsent = (form, visible) => {
    const note = form && form.querySelector("[data-unsent]");
    if (note) note.hidden = !visible;
  };
  document.addEventListener("htmx:beforeRequest", (event) => unsent(event.target.closest("form"), false));
  for (const name of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => {
      const form = event.target.closest("form");
      unsent(form, true);
      if (!form) return;
      form.removeAttribute("data-sent");
      for (const button of form.querySelectorAll("button[aria-disabled]")) {
        button.removeAttribute("aria-disabled");
        if (button.dataset.label) button.textContent = button.dataset.label;
      }
    });
  }

  // --- After a message was sent: its answer is in view, and the next one can be written ---
  document.addEventListener("htmx:afterSettle", (event) => {
    const problem = document.getElementById("problem");
    if (problem && event.target === problem) problem.scrollIntoView({ block: "nearest" });
    const chat = document.getElementById("chat");
    if (!chat || !(event.target === chat || event.target.contains(chat))) return;
    enhance(chat);
    chat.dispatchEvent(new CustomEvent("pages:shown", { bubbles: true }));
    const title = chat.querySelector("h1");
    if (title) document.title = `${title.textContent} · claudeapp`;
    const latest = chat.querySelector(".turn:last-of-type");
    if (latest) latest.scrollIntoView({ block: "start" });
    if (!touch) chat.querySelector("#text").focus({ preventScroll: true });
  });

  // --- When an answer is whole, what the chat costs and holds is counted anew ---
  document.addEventListener("pages:shown", async (event) => {
    const facts = document.getElementById("facts");
    if (!facts || !event.target.matches(".turn")) return;
    try {
      const answer = await fetch(facts.dataset.address, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
      if (answer.ok && !answer.redirected) facts.innerHTML = await answer.text();
    } catch {
      // The next page shows them.
    }
  });

  // --- Whoever comes back to this tab learns that the chat has gone on in another ---
  document.addEventListener("visibilitychange", async () => {
    const chat = document.querySelector("#chat[data-asks]");
    if (document.hidden || !chat) return;
    try {
      const answer = await fetch(chat.dataset.asks, { credentials: "same-origin" });
      if (answer.ok && !answer.redirected) chat.querySelector("[data-newer]").hidden = (await answer.text()) === chat.dataset.newest;
    } catch {
      // Without a connection nobody can say.
    }
  });

  enhance(document);
})();
