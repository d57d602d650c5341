// What went wrong and what to do, in a card; or warnings about a result.
function render({ model, el }) {
  const root = h("div", { class: `sdk ${model.get("css_class")}` });
  function draw() {
    const problem = model.get("problem"), warnings = model.get("warnings");
    root.hidden = !problem.title && !warnings.length;
    if (root.hidden) { root.replaceChildren(); return; }
    if (problem.title) {
      root.replaceChildren(h("div", { class: "sdk-problem sd-problem", role: "alert", "data-code": problem.code || "" },
        h("h3", {}, problem.title), h("p", {}, problem.detail || ""), problem.remedy ? h("p", { class: "sdk-muted" }, problem.remedy) : null,
        model.get("action") ? h("div", { class: "sdk-row" }, h("button", { type: "button", class: "sd-problem-retry", onclick: () => model.send({ type: "action" }) }, model.get("action"))) : null));
    } else {
      root.replaceChildren(h("div", { class: "sdk-problem sdk-warning sd-warnings", role: "status" }, h("h3", {}, model.get("heading")), warnings.length === 1 ? h("p", {}, warnings[0]) : h("ul", {}, warnings.map((text) => h("li", {}, text)))));
    }
  }
  el.append(root);
  const names = ["problem", "warnings", "action", "heading"];
  return follow(model, names, whenChanged(() => names.map((name) => model.get(name)), draw));
}
export default { render };
