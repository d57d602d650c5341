// Searching a database of structures: which one, what for, and its answers to choose from.
function render({ model, el }) {
  const ids = { where: uid("sd-search-where"), what: uid("sd-search-what"), error: uid("sd-search-error") };
  const where = h("select", { id: ids.where, class: "sd-search-provider", onchange: () => { model.set("provider", where.value); model.save_changes(); } });
  const what = h("input", { id: ids.what, type: "search", class: "sd-search-text", autocomplete: "off", spellcheck: "false", placeholder: model.get("example"), "aria-describedby": ids.error });
  const go = h("button", { type: "submit", class: "sd-search-go" }, "Search");
  const error = h("p", { class: "sdk-error sd-search-error", id: ids.error, role: "alert", hidden: true });
  const said = h("p", { class: "sdk-muted sdk-small", role: "status" });
  const answers = h("div", {});
  const form = h("form", { class: "sdk-search-row", role: "search", onsubmit: (event) => { event.preventDefault(); model.send({ type: "search", text: what.value }); } },
    h("div", {}, h("label", { for: ids.where }, "Database"), where), h("div", {}, h("label", { for: ids.what }, "Formula or elements"), what), go);
  el.append(h("div", { class: `sdk sdk-search sd-search ${model.get("css_class")}` }, form, error, said, answers));

  function list() {
    where.replaceChildren(...model.get("providers").map((one) => h("option", { value: one.id }, one.title)));
    where.value = model.get("provider");
  }
  function draw() {
    const results = model.get("results"), chosen = model.get("chosen");
    const row = (one) => h("tr", { "data-id": one.id },
      h("th", { scope: "row" }, one.why_not ? one.formula : h("button", { type: "button", class: "sdk-link sd-search-choose", "aria-label": `Take ${one.formula}, ${one.id}`, "aria-pressed": String(one.id === chosen), onclick: () => model.send({ type: "choose", id: one.id }) }, one.formula)),
      h("td", { class: "sdk-number" }, String(one.sites)), h("td", { class: "sdk-wrap" }, one.id), h("td", { class: "sdk-wrap sdk-muted" }, one.why_not || (one.id === chosen ? "Chosen" : "")));
    const head = h("tr", {}, h("th", { scope: "col" }, "Formula"), h("th", { scope: "col", class: "sdk-number" }, "Atoms"), h("th", { scope: "col" }, "Entry"), h("th", { scope: "col" }, h("span", { class: "sdk-sr" }, "Note")));
    answers.replaceChildren(...(results.length ? [h("div", { class: "sdk-table-wrap", tabindex: "0", role: "region", "aria-label": "Structures found" }, h("table", {}, h("thead", {}, head), h("tbody", {}, results.map(row))))] : []));
  }
  function tell() {
    const busy = model.get("busy"), searched = model.get("searched"), count = model.get("results").length;
    go.disabled = busy;
    write(error, model.get("error"));
    error.hidden = !model.get("error");
    what.setAttribute("aria-invalid", model.get("error") ? "true" : "false");
    write(said, busy ? "Asking…" : searched ? (count ? `${count} structure${count === 1 ? "" : "s"}: ${searched}.` : `Nothing found: ${searched}.`) : "");
  }
  const stops = [follow(model, ["providers", "provider"], list), follow(model, ["results", "chosen"], draw), follow(model, ["busy", "error", "searched", "results"], tell)];
  return () => stops.forEach((stop) => stop());
}
export default { render };
