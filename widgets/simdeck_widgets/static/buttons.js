// A row of buttons with a sentence beside them.
function render({ model, el }) {
  const row = h("div", { class: "sdk-row" });
  const beside = h("span", { class: "sdk-muted sdk-small", role: "status" });
  el.append(h("div", { class: `sdk sd-buttons ${model.get("css_class")}` }, row));
  const made = {};
  return follow(model, ["buttons", "beside"], () => {
    const wanted = model.get("buttons");
    // Left in their places while they stay, so that a pressed button keeps the focus.
    const order = wanted.map((about) => about.id).join("\n");
    const buttons = wanted.map((about) => {
      const button = made[about.id] || (made[about.id] = h("button", { type: "button", onclick: () => model.send({ type: "press", id: about.id }) }));
      button.className = `${about.primary ? "sdk-primary " : ""}sd-button-${about.id}`;
      button.disabled = Boolean(about.disabled);
      if (about.pressed === undefined) button.removeAttribute("aria-pressed"); else button.setAttribute("aria-pressed", String(about.pressed));
      if (about.hint) button.title = about.hint; else button.removeAttribute("title");
      write(button, about.label);
      return button;
    });
    if (order !== row.dataset.order) { row.replaceChildren(...buttons, beside); row.dataset.order = order; }
    write(beside, model.get("beside"));
  });
}
export default { render };
