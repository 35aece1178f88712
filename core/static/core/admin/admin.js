/* Follows an answer while it is written. Without this script the page reloads itself. */
"use strict";

(() => {
    const POLL = 2000;

    const replace = async (panel) => {
        const answer = await fetch(panel.dataset.panel, { headers: { "X-Requested-With": "fetch" } });
        if (!answer.ok || answer.redirected) {
            window.location.reload();
            return;
        }
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("answer");
        panel.replaceWith(fresh);
        follow(fresh);
    };

    const follow = (panel) => {
        if (!panel || !panel.dataset.panel) return;
        const later = () => window.setTimeout(() => replace(panel).catch(later), POLL);
        if (!panel.dataset.events || !window.EventSource) {
            later();
            return;
        }
        const text = panel.querySelector("[data-text]");
        const events = new EventSource(panel.dataset.events);
        let lost = 0;
        events.addEventListener("started", () => { text.textContent = ""; });
        events.addEventListener("text", (event) => {
            lost = 0;
            const atEnd = text.scrollTop + text.clientHeight > text.scrollHeight - 24;
            text.append(JSON.parse(event.data));
            if (atEnd) text.scrollTop = text.scrollHeight;
        });
        events.addEventListener("ended", () => {
            events.close();
            replace(panel).catch(later);
        });
        // The browser connects again by itself and goes on where it left off; only a refusal ends here.
        events.addEventListener("error", () => {
            lost += 1;
            if (events.readyState === EventSource.CLOSED || lost > 3) {
                events.close();
                later();
            }
        });
    };

    document.addEventListener("DOMContentLoaded", () => {
        follow(document.getElementById("answer"));
        // The theme has no landmark for what a page is about.
        document.getElementById("content")?.setAttribute("role", "main");
        // The queue dashboard's box for all rows has no label.
        document.getElementById("action-toggle")?.setAttribute("aria-label", "All rows");
    });
})();
