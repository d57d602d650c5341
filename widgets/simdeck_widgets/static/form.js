// A form from a JSON Schema: label, unit, limits, help, and a plain sentence next to the field that needs one.
function render({ model, el }) {
  const root = h("div", { class: "sdk sdk-form sd-form" });
  const fields = {};
  let timer = 0;

  function commit() {
    const values = { ...model.get("values") };
    const unreadable = {};
    for (const [name, field] of Object.entries(fields)) {
      const read = field.read();
      if (read.error) unreadable[name] = read.error;
      else if (read.value === undefined) delete values[name];
      else values[name] = read.value;
    }
    model.set("unreadable", unreadable);
    model.set("values", values);
    model.save_changes();
    showErrors();
  }
  const later = () => { clearTimeout(timer); timer = setTimeout(commit, 250); };
  const now = () => { clearTimeout(timer); commit(); };

  function showErrors() {
    const errors = { ...model.get("errors"), ...model.get("unreadable") };
    for (const [name, field] of Object.entries(fields)) {
      const sentence = errors[name] || "";
      field.error.textContent = sentence;
      field.error.hidden = !sentence;
      field.input.setAttribute("aria-invalid", sentence ? "true" : "false");
      if (sentence) { const folded = field.input.closest("details"); if (folded) folded.open = true; }
    }
  }

  function limits(schema) {
    const [low, high] = [schema.minimum, schema.maximum].map((x) => (x === undefined ? x : String(x).replace(/^-/, "−")));
    if (low !== undefined && high !== undefined) return `${low} to ${high}`;
    if (low !== undefined) return `at least ${low}`;
    return high !== undefined ? `at most ${high}` : "";
  }

  function control(name, schema, required) {
    const id = uid(`sd-input-${name}`);
    const kind = [].concat(schema.type || "string")[0];
    const error = h("span", { class: "sdk-error", id: `${id}-error`, role: "alert", hidden: true });
    const helpText = [schema.description, kind !== "boolean" && limits(schema) ? `Allowed: ${limits(schema)}.` : ""].filter(Boolean).join(" ");
    const help = helpText ? h("p", { class: "sdk-help", id: `${id}-help` }, helpText) : null;
    const described = `${id}-error${help ? ` ${id}-help` : ""}`;
    const common = { id, name, class: `sd-input-${name}`, "aria-describedby": described, "aria-invalid": "false" };
    const title = schema.title || name;
    let input, read, write, box;
    if (kind === "boolean") {
      input = h("input", { ...common, type: "checkbox", onchange: now });
      read = () => ({ value: input.checked });
      write = (value) => { input.checked = Boolean(value); };
      box = h("div", { class: "sdk-check" }, h("label", { for: id }, input, title), error, help);
    } else {
      if (schema.enum) {
        input = h("select", { ...common, onchange: now }, schema.enum.map((value, i) => h("option", { value: String(i) }, (schema["x-simdeck-labels"] || schema.enum)[i] + "")));
        read = () => ({ value: schema.enum[Number(input.value)] });
        write = (value) => { input.value = String(Math.max(0, schema.enum.indexOf(value))); };
      } else if (kind === "number" || kind === "integer") {
        // Text, not type=number: a wheel over the field must not change a charge, and "1e-3" must be readable.
        input = h("input", { ...common, type: "text", inputmode: kind === "integer" ? "numeric" : "decimal", autocomplete: "off", oninput: later, onchange: now });
        read = () => {
          const text = input.value.trim().replace("−", "-").replace(",", ".");
          if (!text) return required ? { error: `${title} is needed.` } : { value: undefined };
          const value = Number(text);
          if (!Number.isFinite(value)) return { error: `${title} must be a number.` };
          if (kind === "integer" && !Number.isInteger(value)) return { error: `${title} must be a whole number.` };
          return { value };
        };
        write = (value) => { input.value = value === undefined || value === null ? "" : String(value); };
        input.addEventListener("keydown", (event) => {
          const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
          if (!step || kind !== "integer") return;
          event.preventDefault();
          const current = Number(input.value.replace("−", "-")) || 0;
          const next = Math.min(schema.maximum ?? Infinity, Math.max(schema.minimum ?? -Infinity, current + step));
          input.value = String(next);
          later();
        });
      } else {
        input = h("input", { ...common, type: "text", autocomplete: "off", maxlength: schema.maxLength, oninput: later, onchange: now });
        read = () => (input.value ? { value: input.value } : { value: undefined });
        write = (value) => { input.value = value || ""; };
      }
      const unit = schema["x-simdeck-unit"];
      box = h("div", {}, h("label", { for: id }, title), h("div", { class: "sdk-field-input" }, input, unit ? h("span", { class: "sdk-unit" }, unit) : null), error, help);
    }
    fields[name] = { input, read, write, error };
    box.classList.add("sdk-field", `sd-field-${name}`);
    return box;
  }

  function build() {
    const schema = model.get("schema") || {};
    const properties = schema.properties || {};
    const required = new Set(schema.required || []);
    const skipped = new Set(model.get("hidden"));
    const drawn = Object.keys(properties).filter((name) => !skipped.has(name) && !properties[name]["x-simdeck-type"] && !["object", "array"].includes(properties[name].type));
    const basic = model.get("basic");
    const first = basic.length ? drawn.filter((name) => basic.includes(name)) : drawn;
    const rest = drawn.filter((name) => !first.includes(name));
    for (const name of Object.keys(fields)) delete fields[name];
    root.replaceChildren(...first.map((name) => control(name, properties[name], required.has(name))));
    if (rest.length) {
      const folded = h("div", { class: "sdk-form" }, rest.map((name) => control(name, properties[name], required.has(name))));
      root.append(h("details", { class: "sd-more-settings" }, h("summary", {}, model.get("more") || "More settings"), folded));
    }
    fill();
    showErrors();
  }

  function fill() {
    const values = model.get("values");
    for (const [name, field] of Object.entries(fields)) {
      const read = field.read();
      const differs = read.error || JSON.stringify(read.value) !== JSON.stringify(values[name]);
      if (differs && document.activeElement !== field.input) field.write(values[name]);
      field.input.disabled = model.get("disabled");
    }
  }

  const stops = [
    follow(model, ["schema", "hidden", "basic"], build),
    follow(model, ["values", "disabled"], fill),
    follow(model, ["errors"], showErrors),
  ];
  el.append(root);
  return () => { clearTimeout(timer); stops.forEach((stop) => stop()); };
}
export default { render };
