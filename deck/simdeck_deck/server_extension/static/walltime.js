// The time this server's job has left: in the bar always, as a note when it nears its end. The page counts by itself and asks
// nobody: an open page must not count as work going on.
(function () {
  "use strict";
  const chip = document.getElementById("sd-walltime");
  const note = document.getElementById("sd-walltime-note");
  if (!chip || !note) return;
  const LAST = 120;
  const words = note.querySelector(".sd-time-words");
  const onward = note.querySelector(".sd-time-continue");
  let given = Number(chip.dataset.left);
  let loaded = Date.now();
  let warnAt = Number(chip.dataset.warn);
  let told = "";
  let timer = 0;

  const left = () => Math.max(0, given - (Date.now() - loaded) / 1000);
  function span(seconds) {
    if (seconds < 60) return "less than 1 min";
    const minutes = Math.round(seconds / 60);
    if (minutes < 100) return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
  }
  // The run that the page shows now, which may be another than when it was opened.
  function address() {
    const run = new URLSearchParams(location.search).get("run");
    onward.href = `${chip.dataset.continue}?${run ? `run=${encodeURIComponent(run)}&` : ""}continue=1&server=${encodeURIComponent(chip.dataset.server)}`;
  }
  for (const event of ["pointerdown", "focus", "click"]) onward.addEventListener(event, address);

  function stage(seconds) {
    if (seconds <= 0) return "over";
    if (seconds <= LAST) return "last";
    return seconds <= warnAt ? "soon" : "";
  }
  function sentence(seconds) {
    if (seconds <= 0) return "The job of your server has reached its end. Your runs go on; continue with this page in a new job.";
    return `The job of your server ends in ${span(seconds)}, and this page with it. Your runs go on without it.`;
  }
  function show(open) {
    note.hidden = !open;
    chip.setAttribute("aria-expanded", String(open));
    if (!open) return;
    address();
    // Set after the region is visible, so that it is read out.
    words.textContent = sentence(left());
  }
  function draw() {
    const seconds = left();
    const now = stage(seconds);
    chip.replaceChildren(seconds > 0 ? span(seconds) : "Time over");
    if (seconds > 0) {
      const more = document.createElement("span");
      more.className = "sd-time-more";
      more.textContent = " left";
      chip.append(more);
    }
    chip.setAttribute("aria-label", seconds > 0 ? `Time left for this server: ${span(seconds)}` : "This server's time is over");
    chip.classList.toggle("sd-soon", now === "soon" || now === "last");
    chip.classList.toggle("sd-over", now === "over");
    // Each stage speaks up once, also after the earlier one was dismissed; in between nothing is read out.
    if (now && now !== told) { told = now; show(true); }
    clearTimeout(timer);
    const until = [warnAt, LAST, 60, 0].filter((at) => at < seconds).map((at) => seconds - at);
    if (until.length) timer = setTimeout(draw, 1000 * Math.max(0.05, Math.min(30, ...until)) + 20);
  }

  chip.addEventListener("click", () => {
    show(note.hidden);
    if (!note.hidden) note.scrollIntoView({ block: "nearest" });
  });
  note.querySelector(".sd-time-dismiss").addEventListener("click", () => { show(false); chip.focus(); });
  note.addEventListener("keydown", (event) => { if (event.key === "Escape") { show(false); chip.focus(); } });
  window.addEventListener("simdeck-walltime", ({ detail }) => {
    // The scheduler's word: the end may be nearer than was known.
    given = Number(detail.left);
    loaded = Date.now();
    warnAt = Math.max(warnAt, given);
    draw();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) draw(); });
  draw();
})();
