// What the pages need beyond htmx: copy buttons, and a word when the service cannot be reached.
"use strict";

function enableCopying(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("[data-copy], [data-copy-link]")) {
    button.hidden = false;
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-link]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy || button.dataset.copyLink);
  const label = button.querySelector("span");
  // A link is copied whole, with the site's address before it.
  await navigator.clipboard.writeText(button.dataset.copyLink ? source.href : source.textContent);
  const before = label.textContent;
  label.textContent = "Copied";
  setTimeout(() => { label.textContent = before; }, 2000);
});

// A form is sent once: a second click while the first is under way does nothing.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) {
    event.preventDefault();
    return;
  }
  event.target.dataset.sent = "yes";
});

// Coming back through the browser's history shows the page as it was left: forms may be sent again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// The part of a run's page that htmx replaces is no live region; a change of state is said beside it, once.
let shownState = document.getElementById("run-shown")?.textContent.trim();
document.addEventListener("htmx:afterSwap", () => {
  const now = document.getElementById("run-shown")?.textContent.trim();
  if (!now || now === shownState) return;
  shownState = now;
  document.getElementById("run-said").textContent = now;
});

// The processes stand in the middle of a wide graph. "load" does not bubble, so it is caught on its way down.
document.addEventListener("load", (event) => {
  const frame = event.target.classList?.contains("graph") && event.target.closest(".graph-scroll");
  if (frame) frame.scrollLeft = (frame.scrollWidth - frame.clientWidth) / 2;
}, true);

enableCopying(document);
