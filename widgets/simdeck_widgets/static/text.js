// A heading with a line of text, or a button with a sentence beside it. Made once: focus and live region stay.
function render({ model, el }) {
  const heading = h("h2", {});
  const text = h("p", { class: "sdk-muted" });
  const button = h("button", { type: "button", class: `sdk-primary ${model.get("button_class")}`, onclick: () => model.send({ type: "click" }) });
  const beside = h("span", { class: "sdk-muted sdk-small", role: "status" });
  const row = h("div", { class: "sdk-row" }, button, beside);
  el.append(h("div", { class: `sdk ${model.get("css_class")}` }, heading, text, row));
  return follow(model, ["heading", "text", "button", "disabled", "beside"], () => {
    for (const [element, name] of [[heading, "heading"], [text, "text"], [button, "button"], [beside, "beside"]]) write(element, model.get(name));
    heading.hidden = !model.get("heading");
    text.hidden = !model.get("text");
    row.hidden = !model.get("button");
    button.disabled = model.get("disabled");
  });
}
export default { render };
