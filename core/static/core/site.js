// What makes the pages pleasant with JavaScript? Everything here works without it, only less so.
(() => {
  "use strict";

  // --- Send once: a second click must not pay twice ---
  document.addEventListener("submit", (event) => {
    // Attributes and not properties: a field that is named «dataset» would take the property's place.
    const form = event.target;
    const question = form.getAttribute("data-confirm");
    if (question && !window.confirm(question)) {
      event.preventDefault();
      return;
    }
    if (!form.hasAttribute("data-once")) return;
    if (form.hasAttribute("data-sent")) {
      event.preventDefault();
      return;
    }
    form.setAttribute("data-sent", "yes");
    const button = event.submitter || form.querySelector("button");
    if (!button) return;
    button.setAttribute("aria-disabled", "true");
    if (button.dataset.busy) {
      button.dataset.label = button.textContent;
      button.textContent = button.dataset.busy;
    }
  });
  // The page may come back as it was left, with the browser's own «back».
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      form.removeAttribute("data-sent");
      for (const button of form.querySelectorAll("button[aria-disabled]")) {
        button.removeAttribute("aria-disabled");
        if (button.dataset.label) button.textContent = button.dataset.label;
      }
    }
  });

  // --- Copy the answer as it was written ---
  async function copy(text) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    const carrier = document.createElement("textarea");
    carrier.value = text;
    carrier.className = "sr-only";
    document.body.append(carrier);
    carrier.select();
    const copied = document.execCommand("copy");
    carrier.remove();
    if (!copied) throw new Error("the browser did not copy");
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.querySelector(button.dataset.copy);
    const label = button.dataset.label || (button.dataset.label = button.textContent);
    try {
      await copy(source.value);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not copied";
    }
    const announce = document.getElementById("announce");
    if (announce) announce.textContent = button.textContent;
    button.focus();
    window.setTimeout(() => { button.textContent = label; }, 2000);
  });

  // --- Text fields that grow, and say how much they hold ---
  function grow(field) {
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight + 2, window.innerHeight * 0.7)}px`;
  }
  function count(field) {
    const most = Number(field.dataset.most);
    const used = Array.from(field.value).length;
    let counter = field.nextElementSibling;
    if (!counter || !counter.classList.contains("counter")) {
      counter = document.createElement("p");
      counter.className = "counter soft small";
      field.after(counter);
    }
    const over = used > most;
    counter.textContent = `${used.toLocaleString("en")} of at most ${most.toLocaleString("en")} characters`;
    counter.classList.toggle("over", over);
  }
  document.addEventListener("input", (event) => {
    const field = event.target;
    if (field.matches("textarea[data-grows]")) grow(field);
    if (field.matches("[data-most]")) count(field);
  });

  // --- A file that is too large is not even sent ---
  document.addEventListener("change", (event) => {
    const field = event.target;
    if (!field.matches("input[type=file][data-most-bytes]")) return;
    const most = Number(field.dataset.mostBytes);
    const size = field.files.length ? field.files[0].size : 0;
    const megabytes = (bytes) => Math.round(bytes / 1e6).toLocaleString("en");
    const words = size > most ? `The file has ${megabytes(size)} MB; at most ${megabytes(most)} MB can be read.` : "";
    if (words) field.value = "";
    let problem = field.parentElement.querySelector(".problem");
    if (!problem) {
      problem = document.createElement("p");
      problem.className = "problem";
      problem.setAttribute("role", "alert");
      field.after(problem);
    }
    problem.textContent = words;
  });

  function enhance(root) {
    for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
    for (const field of root.querySelectorAll("textarea[data-grows]")) if (field.value) grow(field);
    for (const field of root.querySelectorAll("[data-most]")) count(field);
  }
  // What a page fetches by itself is told to those who do not see it, once.
  document.addEventListener("htmx:afterSettle", () => {
    const said = document.querySelector("[data-said]");
    const announce = document.getElementById("announce");
    if (said && announce && announce.textContent !== said.dataset.said) announce.textContent = said.dataset.said;
  });
  document.addEventListener("pages:shown", (event) => enhance(event.target));
  enhance(document);
})();
