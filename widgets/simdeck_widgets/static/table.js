// A table with units in its head. In a `selectable` one each row has a button (pressed: chosen) in its first cell; a click
// anywhere in the row does the same, and the arrow keys go from row to row.
function render({ model, el }) {
  const root = h("div", { class: `sdk ${model.get("css_class")}` });
  function select(index) {
    model.set("selected", index === model.get("selected") ? -1 : index);
    model.save_changes();
  }
  const buttons = () => [...root.querySelectorAll(".sdk-row-button")];
  function go(event) {
    const all = buttons(), at = all.indexOf(event.currentTarget);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = all[Math.max(0, Math.min(all.length - 1, to))];
    all.forEach((button) => { button.tabIndex = button === next ? 0 : -1; });
    next.focus();
  }
  function draw() {
    const columns = model.get("columns"), rows = model.get("rows"), selectable = model.get("selectable"), selected = model.get("selected");
    const focused = buttons().indexOf(document.activeElement);
    const stop = focused >= 0 ? focused : Math.max(0, selected);
    const name = (row) => columns.slice(0, 2).map((column) => `${column.title} ${row[column.key] ?? ""} ${column.unit || ""}`.trim()).join(", ");
    const cell = (row, index, column, i) => {
      const text = String(row[column.key] ?? "");
      const shown = selectable && i === 0 ? h("button", { type: "button", class: "sdk-link sdk-row-button", tabindex: index === stop ? "0" : "-1", "aria-pressed": String(index === selected), "aria-label": name(row), onkeydown: go }, text) : text;
      return h(i === 0 && column.header ? "th" : "td", { class: [column.number ? "sdk-number" : "", column.wrap ? "sdk-wrap" : "", row[`${column.key}_flag`] ? "sdk-flag" : ""].join(" "), scope: i === 0 && column.header ? "row" : null, "data-key": column.key }, shown);
    };
    const head = h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.number ? "sdk-number" : "" }, column.title, column.unit ? h("span", { class: "sdk-muted sdk-column-unit" }, ` / ${column.unit}`) : null)));
    const body = rows.map((row, index) => h("tr", selectable ? { "data-chosen": String(index === selected), onclick: () => select(index) } : {}, columns.map((column, i) => cell(row, index, column, i))));
    const caption = model.get("caption");
    if (rows.length) root.replaceChildren(h("div", { class: "sdk-table-wrap" }, h("table", { class: selectable ? "sdk-selectable" : "" }, caption ? h("caption", {}, caption) : null, h("thead", {}, head), h("tbody", {}, body))));
    else root.replaceChildren(h("p", { class: "sdk-muted" }, model.get("empty")));
    if (focused >= 0 && buttons()[focused]) buttons()[focused].focus();
  }
  el.append(root);
  return follow(model, ["columns", "rows", "caption", "selected", "selectable", "empty"], draw);
}
export default { render };
