// The steps of a wizard as an ordered list of buttons; on a phone one line that says where one is.
const WORDS = { done: "done", attention: "needs attention", locked: "not yet", open: "" };

function render({ model, el }) {
  const list = h("ol", { class: "sdk-steps" });
  const nav = h("nav", { class: `sdk sd-wizard ${model.get("css_class")}`, "aria-label": model.get("label") }, list);
  el.append(nav);
  const draw = whenChanged(() => [model.get("steps"), model.get("current")], () => {
    const focused = document.activeElement && list.contains(document.activeElement) ? document.activeElement.dataset.step : "";
    const current = model.get("current");
    list.replaceChildren(...model.get("steps").map((step, i) => {
      const here = step.id === current;
      const word = WORDS[step.state] || "";
      const mark = step.state === "done" && !here ? "✓" : step.state === "attention" ? "!" : String(i + 1);
      return h("li", { class: "sdk-step-item", "data-state": here ? "current" : step.state },
        h("button", {
          type: "button", class: `sdk-step-button sd-step-${step.id}`, "data-step": step.id, "aria-current": here ? "step" : null,
          disabled: step.state === "locked" && !here, onclick: () => model.send({ type: "go", step: step.id }),
        }, h("span", { class: "sdk-step-mark", "aria-hidden": "true" }, mark),
        h("span", { class: "sdk-step-text" }, h("span", { class: "sdk-step-title" }, step.title), step.note ? h("span", { class: "sdk-step-note" }, step.note) : null),
        word ? h("span", { class: "sdk-sr" }, ` (${word})`) : null));
    }));
    if (focused) { const again = list.querySelector(`[data-step="${focused}"]`); if (again && !again.disabled) again.focus(); }
  });
  return follow(model, ["steps", "current"], draw);
}
export default { render };
