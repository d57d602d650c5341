// A run's state line: title, state, last step, and what can be done with it now.
const WORDS = { accepted: "Waiting to start", running: "Running", finished: "Finished", failed: "Failed", cancelled: "Cancelled", rejected: "Not accepted", paused: "Paused" };

function render({ model, el }) {
  const title = h("h2", { class: "sdk-run-title sd-run-title" });
  const chip = h("span", { class: "sdk-chip sd-run-state" });
  const times = h("span", { class: "sdk-muted sdk-small sd-run-times" });
  const step = h("p", { class: "sdk-step sd-run-step" });
  // Each change of state is said once; the steps in between would talk without end.
  const said = h("span", { class: "sdk-sr", role: "status" });
  const bar = h("div", {});
  const progress = h("div", { class: "sdk-progress", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" }, bar);
  const note = h("p", { class: "sdk-muted sdk-small sd-run-note", hidden: true });
  const buttons = h("div", { class: "sdk-row sd-run-actions" });
  const root = h("div", { class: "sdk sd-run" }, h("div", { class: "sdk-row sdk-spread" }, title, chip), said, times, step, progress, note, buttons);
  el.append(root);
  let known = "";
  const act = (name) => () => model.send({ type: name });

  function draw() {
    const run = model.get("run");
    [chip, times, step, progress, buttons].forEach((part) => { part.hidden = !run.id; });
    if (!run.id) {
      title.textContent = "Opening the run…";
      note.textContent = model.get("note");
      note.hidden = !note.textContent;
      delete root.dataset.state;
      return;
    }
    const state = run.paused && run.state === "running" ? "paused" : run.state;
    const word = WORDS[state] || state;
    write(title, run.title);
    write(chip, word);
    // Not what was there when the page opened: that is read with the page.
    if (known && known !== run.id + state) write(said, `${run.title}: ${word}`);
    known = run.id + state;
    chip.dataset.state = state;
    root.dataset.state = run.state;
    root.dataset.run = run.id;
    const seconds = run.started ? Math.max(0, ((run.ended ? new Date(run.ended) : new Date()) - new Date(run.started)) / 1000) : null;
    write(times, `Submitted ${ago(run.created)}` + (seconds === null ? "" : ` · ${run.ended ? "took" : "running for"} ${seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`}`));
    times.title = run.created;
    write(step, model.get("step"));
    const fraction = model.get("fraction");
    progress.hidden = Boolean(run.ended) || fraction < 0;
    bar.style.width = `${Math.round(100 * Math.max(0, fraction))}%`;
    progress.setAttribute("aria-valuenow", String(Math.round(100 * Math.max(0, fraction))));
    write(note, model.get("note"));
    note.hidden = !note.textContent;
    const busy = model.get("busy");
    const offered = model.get("actions");
    const texts = { cancel: "Cancel run", pause: "Pause", resume: "Resume", retry: "Run again unchanged", change: "Change and run again", archive: "Download all (zip)", new: "New calculation" };
    const shown = offered.map((name) => h("button", { type: "button", class: `sd-run-${name}${name === "change" ? " sdk-primary" : ""}`, disabled: Boolean(busy), onclick: act(name) }, busy === name ? "Working…" : texts[name] || name));
    if (shown.length !== buttons.children.length || shown.some((b, i) => b.outerHTML !== buttons.children[i].outerHTML)) buttons.replaceChildren(...shown);
  }
  function address() {
    // Only the app's own page is addressed by its run; a notebook in JupyterLab is not.
    if (!document.body.classList.contains("sd-page") || !model.get("addressed")) return;
    const url = new URL(location.href);
    const id = model.get("run").id;
    if ((url.searchParams.get("run") || "") === (id || "")) return;
    if (id) url.searchParams.set("run", id); else url.searchParams.delete("run");
    history.replaceState(null, "", url);
  }
  model.on("msg:custom", (message, buffers) => {
    if (message.type === "save") save(new Blob([buffers[0]], { type: message.mime }), message.name);
  });
  const clock = setInterval(() => { const run = model.get("run"); if (run.id && !run.ended) draw(); }, 1000);
  const stops = [follow(model, ["run", "step", "fraction", "note", "busy", "actions"], draw), follow(model, ["run", "addressed"], address)];
  return () => { clearInterval(clock); stops.forEach((stop) => stop()); };
}
export default { render };
