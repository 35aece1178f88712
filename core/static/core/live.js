// How does a page follow a running call? Server-sent events append text; the end swaps in what is finished.
(() => {
  "use strict";

  // What somebody has written and not sent would be gone where the page loads anew.
  const unsent = () => [...document.querySelectorAll("textarea, input[type=file]")].some((field) => field.value !== field.defaultValue);

  function watch(box) {
    const announce = document.getElementById("announce");
    const words = JSON.parse(document.getElementById("state-words").textContent);
    let status = box.dataset.status;
    // The server has put the text so far into the page. The stream tells it again from the start, so it is replaced.
    let told = false;
    let patience = 1000;

    const part = (name) => box.querySelector(`[data-${name}]`);
    const show = (name, visible) => { const element = part(name); if (element) element.hidden = !visible; };

    function clear() {
      told = true;
      part("text").textContent = "";
    }

    function append(piece) {
      if (!told) clear();
      const page = document.documentElement;
      const atEnd = window.innerHeight + window.scrollY >= page.scrollHeight - 60;
      show("empty", false);
      part("text").append(piece);
      part("text").normalize();
      // Whoever reads along at the end stays there; whoever scrolled up is left alone.
      if (atEnd && page.scrollHeight > window.innerHeight) window.scrollTo(0, page.scrollHeight);
    }

    async function fetched() {
      const answer = await fetch(box.dataset.result, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
      // Who has signed out meanwhile is led to where one signs in, by the page itself, or by sending what is written.
      if (answer.status === 404 || (answer.redirected && !unsent())) window.location.reload();
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      const holder = document.createElement("template");
      holder.innerHTML = await answer.text();
      return holder.content;
    }

    // State and facts as the server says them now; the growing text stays.
    async function refresh() {
      try {
        const fresh = await fetched();
        for (const selector of [".state", "aside"]) {
          const now = box.querySelector(selector);
          const next = fresh.querySelector(selector);
          if (now && next && fresh.querySelector("[data-text]")) now.replaceWith(next);
        }
      } catch {
        // The next event, or the end, brings it.
      }
    }

    function become(next) {
      if (next === status) return;
      status = next;
      announce.textContent = words[next] || next;
      document.title = `${words[next] || next}: ${box.dataset.title}`;
      refresh();
    }

    async function finish() {
      try {
        const fresh = await fetched();
        const focused = box.contains(document.activeElement);
        box.replaceChildren(fresh);
        box.dispatchEvent(new CustomEvent("pages:shown", { bubbles: true }));
        const state = box.querySelector("[data-state-word]").textContent;
        document.title = `${state}: ${box.dataset.title}`;
        announce.textContent = `${state}. ${box.querySelector(".answer") ? "The answer is on the page." : ""}`;
        const line = box.querySelector("[data-state]");
        if (focused && line) line.focus();
      } catch {
        show("lost", true);
        window.setTimeout(finish, 2000);
      }
    }

    function follow() {
      const source = new EventSource(box.dataset.events);
      const followed = new AbortController();
      const hear = (name, act, more) => window.addEventListener(name, act, { signal: followed.signal, ...more });
      const leave = () => { followed.abort(); source.close(); };
      const on = (kind, act) => source.addEventListener(kind, (event) => act(JSON.parse(event.data)));
      // The server has asked for another connection, and lets go of this one.
      let expected = false;
      source.addEventListener("open", () => { expected = false; patience = 1000; show("lost", false); });
      on("started", (attempt) => {
        clear();
        if (Number(attempt) > 1 || status !== "running") { status = ""; become("running"); }
      });
      on("text", (piece) => { if (box.isConnected) append(piece); else leave(); });
      on("status", become);
      on("ended", () => { leave(); finish(); });
      on("again", () => { expected = true; });
      source.addEventListener("error", () => {
        if (!expected) show("lost", true);
        expected = false;
        // The browser comes back by itself and names the last event it saw, unless the server refused it outright.
        if (source.readyState !== EventSource.CLOSED) return;
        show("lost", true);
        followed.abort();
        told = false;
        // Whoever may not see it any more is shown that.
        refresh();
        window.setTimeout(follow, patience);
        patience = Math.min(patience * 2, 30000);
      });
      // Of a network that went the stream itself learns late, or never where another one has taken its place.
      hear("offline", () => show("lost", true));
      hear("online", () => { leave(); told = false; follow(); });
      hear("pagehide", () => source.close(), { once: true });
      hear("pageshow", (event) => { if (event.persisted) window.location.reload(); }, { once: true });
    }

    follow();
  }

  // What is on the page now, and what a script puts there later.
  function start() {
    for (const box of document.querySelectorAll("[data-events]:not([data-followed])")) {
      box.dataset.followed = "yes";
      watch(box);
    }
  }
  document.addEventListener("htmx:afterSettle", start);
  start();
})();
