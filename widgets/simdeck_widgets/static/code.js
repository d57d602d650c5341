// A text in the letters of programs, with a button that copies it.
function render({ model, el }) {
  const code = h("code", {});
  const said = h("span", { class: "sdk-muted sdk-small", role: "status" });
  const copy = h("button", { type: "button", class: "sd-code-copy", onclick: async () => {
    try { await navigator.clipboard.writeText(model.get("code")); write(said, "Copied."); }
    catch { write(said, "The browser does not allow it; select the text and copy it."); }
  } }, "Copy");
  const pre = h("pre", { class: "sdk-code", tabindex: "0", role: "region", "aria-label": model.get("label") }, code);
  el.append(h("div", { class: `sdk ${model.get("css_class")}` }, pre, h("div", { class: "sdk-row sdk-editor-tools" }, copy, said)));
  return follow(model, ["code"], () => write(code, model.get("code")));
}
export default { render };
