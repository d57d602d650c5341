// The atoms of a structure as rows of fields. What is typed goes to the model when a field is left or Enter is pressed.
function render({ model, el }) {
  const FIELDS = [["symbol", "Element"], ["x", "x"], ["y", "y"], ["z", "z"]];
  const body = h("tbody", {});
  const said = h("p", { class: "sdk-error", role: "alert", hidden: true });
  const note = h("p", { class: "sdk-muted", hidden: true });
  const act = (type, label) => h("button", { type: "button", class: `sd-editor-${type}`, onclick: () => model.send({ type }) }, label);
  const add = act("add", "Add an atom"), undo = act("undo", "Undo"), redo = act("redo", "Redo");
  const head = h("tr", {}, h("th", { scope: "col" }, "Atom"), FIELDS.map(([name, title]) => h("th", { scope: "col" }, title, name === "symbol" ? null : h("span", { class: "sdk-muted" }, " / Å"))), h("th", { scope: "col" }, h("span", { class: "sdk-sr" }, "Remove")));
  const wrap = h("div", { class: "sdk-table-wrap", tabindex: "0", role: "region", "aria-label": "Atoms" }, h("table", { class: "sdk-editor" }, h("thead", {}, head), body));
  const root = h("div", { class: `sdk sd-editor ${model.get("css_class")}` }, wrap, said, note, h("div", { class: "sdk-row sdk-editor-tools" }, add, undo, redo));

  const shown = (value) => (typeof value === "number" ? String(Math.round(value * 1e5) / 1e5) : value);
  function field(index, name, title, value) {
    const send = (event) => model.send({ type: "change", index, field: name, text: event.target.value });
    return h("input", {
      type: "text", value: shown(value), autocomplete: "off", spellcheck: "false", "data-field": name, inputmode: name === "symbol" ? "text" : "decimal",
      "aria-label": `${title} of atom ${index + 1}`, onchange: send,
      onfocus: () => { if (model.get("selected") !== index) { model.set("selected", index); model.save_changes(); } },
    });
  }
  function draw() {
    const atoms = model.get("atoms");
    const at = body.contains(document.activeElement) ? [document.activeElement.closest("tr").rowIndex - 1, document.activeElement.dataset.field || "remove"] : null;
    body.replaceChildren(...atoms.map((atom, index) => h("tr", {},
      h("th", { scope: "row" }, String(index + 1)),
      FIELDS.map(([name, title]) => h("td", {}, field(index, name, title, atom[name]))),
      h("td", {}, h("button", { type: "button", class: "sdk-link", "data-field": "remove", "aria-label": `Remove atom ${index + 1}`, onclick: () => model.send({ type: "remove", index }) }, "✕")))));
    wrap.hidden = !atoms.length;
    if (at && body.rows.length) {
      const row = body.rows[Math.min(at[0], body.rows.length - 1)];
      const next = row.querySelector(`[data-field=${at[1]}]`);
      if (next) next.focus();
    }
    tell();
  }
  function tell() {
    const errors = model.get("errors");
    [...body.rows].forEach((row, index) => FIELDS.forEach(([name]) => {
      row.querySelector(`[data-field=${name}]`).setAttribute("aria-invalid", errors[`${index}.${name}`] ? "true" : "false");
    }));
    const [first] = Object.entries(errors);
    write(said, first ? `Atom ${Number(first[0].split(".")[0]) + 1}: ${first[1]}` : "");
    said.hidden = !first;
    write(note, model.get("note"));
    note.hidden = !model.get("note");
    const off = model.get("disabled");
    for (const control of root.querySelectorAll("input, button")) control.disabled = off;
    add.disabled = off || Boolean(model.get("note"));
    undo.disabled = off || !model.get("can_undo");
    redo.disabled = off || !model.get("can_redo");
  }
  const stops = [follow(model, ["atoms"], draw), follow(model, ["errors", "note", "can_undo", "can_redo", "disabled"], tell)];
  el.append(root);
  return () => stops.forEach((stop) => stop());
}
export default { render };
