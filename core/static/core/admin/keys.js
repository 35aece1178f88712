/* The page that shows a new key once: copies it, and lets a reload show the key's page instead of asking again. */
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const made = document.querySelector("[data-made]");
    if (!made) return;
    window.history.replaceState(null, "", made.dataset.address);
    const said = made.querySelector("[data-copied]");
    for (const button of made.querySelectorAll("[data-copy]")) {
        const field = document.getElementById(button.dataset.copy);
        button.hidden = false;
        field.addEventListener("focus", () => field.select());
        button.addEventListener("click", async () => {
            try {
                await navigator.clipboard.writeText(field.value);
                said.textContent = "Copied.";
            } catch {
                // Without HTTPS the browser has no clipboard for pages; the reader copies what is selected.
                field.focus();
                field.select();
                said.textContent = "Selected: press Ctrl and C.";
            }
        });
    }
});
