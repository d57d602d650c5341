// Recent runs, to reopen.
const WORDS = { accepted: "Waiting", running: "Running", finished: "Finished", failed: "Failed", cancelled: "Cancelled", rejected: "Not accepted" };
function render({ model, el }) {
  const root = h("div", { class: "sdk sd-recent-runs" });
  function draw() {
    const runs = model.get("runs"), error = model.get("error");
    const head = h("div", { class: "sdk-row sdk-spread" }, h("h2", {}, model.get("title")), h("button", { type: "button", class: "sd-recent-refresh", onclick: () => model.send({ type: "refresh" }) }, "Refresh"));
    if (error) { root.replaceChildren(head, h("p", { class: "sdk-error", role: "alert" }, error)); return; }
    if (!runs.length) { root.replaceChildren(head, h("p", { class: "sdk-muted" }, model.get("loaded") ? "No runs yet. The first one you submit is listed here, and stays after you close the page." : "Loading…")); return; }
    // The roles stay when a narrow screen shows the rows as cards.
    const rows = runs.map((run) => h("tr", { role: "row", "data-run": run.id },
      h("td", { role: "cell", class: "sdk-wrap" }, h("button", { type: "button", class: "sdk-link sd-open-run", onclick: () => model.send({ type: "open", run: run.id }), "aria-current": run.id === model.get("current") ? "true" : null }, run.title || run.id)),
      h("td", { role: "cell" }, h("span", { class: "sdk-chip", "data-state": run.state }, WORDS[run.state] || run.state)),
      h("td", { role: "cell", class: "sdk-number" }, run.headline || "–"),
      h("td", { role: "cell", title: run.created, class: "sdk-muted" }, ago(run.created))));
    root.replaceChildren(head, h("div", { class: "sdk-table-wrap" }, h("table", { role: "table" }, h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ["Run", "State", model.get("headline"), "Submitted"].map((text, i) => h("th", { role: "columnheader", scope: "col", class: i === 2 ? "sdk-number" : "" }, text)))), h("tbody", { role: "rowgroup" }, rows))));
  }
  el.append(root);
  return follow(model, ["runs", "error", "title", "headline", "current", "loaded"], draw);
}
export default { render };
