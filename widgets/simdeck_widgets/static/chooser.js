// Choosing a structure: a file by click or drop, a molecule from a library with search, or a SMILES text.
function render({ model, el }) {
  const limit = model.get("max_bytes");
  const noun = model.get("noun") || "molecule";
  const error = h("span", { class: "sdk-error sd-structure-error", role: "alert", hidden: true });
  const chosen = h("div", { class: "sdk-chosen-line sd-structure-chosen", "aria-live": "polite" });
  let localError = "";

  let told = "";
  function say() {
    const sentence = localError || model.get("error");
    write(error, sentence);
    error.hidden = !sentence;
    const summary = model.get("summary");
    const now = JSON.stringify([model.get("busy"), summary, model.get("notes")]);
    if (now === told) return;
    told = now;
    chosen.replaceChildren(h("strong", {}, model.get("busy") ? "Reading the structure…" : summary || "No structure chosen yet."), ...model.get("notes").map((text) => h("div", { class: "sdk-small sdk-muted" }, text)));
    chosen.classList.toggle("sdk-muted", !summary);
  }

  // File
  function send(file) {
    localError = "";
    if (file.size > limit) {
      localError = `${file.name} is ${(file.size / 1e6).toFixed(1)} MB; structure files of up to ${limit / 1e6} MB are read. Keep only one structure in the file.`;
      say();
      return;
    }
    file.arrayBuffer().then(
      (data) => model.send({ type: "file", name: file.name }, undefined, [data]),
      () => { localError = `${file.name} could not be read from this computer.`; say(); },
    );
    say();
  }
  const input = h("input", { type: "file", class: "sdk-sr sd-structure-file", accept: model.get("accept"), onchange: () => { if (input.files[0]) send(input.files[0]); input.value = ""; } });
  const drop = h("label", {
    class: "sdk-drop",
    ondragover: (event) => { event.preventDefault(); drop.classList.add("sdk-over"); },
    ondragleave: () => drop.classList.remove("sdk-over"),
    ondrop: (event) => { event.preventDefault(); drop.classList.remove("sdk-over"); const file = event.dataTransfer.files[0]; if (file) send(file); },
  }, input, h("strong", {}, "Drop a file here, or choose one"), h("div", { class: "sdk-muted sdk-small" }, model.get("formats")));

  // Library
  const listId = uid("sd-list");
  let shown = [], active = -1;
  const list = h("ul", { class: "sdk-list", role: "listbox", id: listId, "aria-label": `${noun[0].toUpperCase()}${noun.slice(1)}s` });
  // Beside the list, not in it: a list box holds nothing but what can be chosen.
  const note = h("p", { class: "sdk-none sdk-muted sdk-small", role: "status" });
  const search = h("input", {
    type: "search", class: "sd-structure-search", placeholder: model.get("example") || "Name or formula", role: "combobox", "aria-expanded": "true",
    "aria-controls": listId, "aria-autocomplete": "list", "aria-label": `Search ${noun}s`, autocomplete: "off", oninput: () => { active = -1; drawList(); },
    onkeydown: (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        active = Math.max(0, Math.min(shown.length - 1, active + (event.key === "ArrowDown" ? 1 : -1)));
        drawList();
      } else if (event.key === "Enter") {
        event.preventDefault();
        const item = shown[active >= 0 ? active : 0];
        if (item) pick(item);
      }
    },
  });
  function pick(item) { localError = ""; model.send({ type: "pick", name: item.name }); }
  function drawList() {
    const wanted = search.value.trim().toLowerCase();
    const all = model.get("library");
    const rank = (item) => {
      const texts = [item.label, item.name, item.formula, item.plain].map((text) => (text || "").toLowerCase());
      if (texts.includes(wanted)) return 0;
      if (texts.some((text) => text.startsWith(wanted))) return 1;
      return texts.some((text) => text.includes(wanted)) ? 2 : 3;
    };
    shown = wanted ? all.map((item, i) => [rank(item), i, item]).filter((x) => x[0] < 3).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((x) => x[2]) : all;
    const total = shown.length;
    shown = shown.slice(0, 60);
    const selected = model.get("selected");
    list.replaceChildren(...shown.map((item, i) => h("li", {
      role: "option", id: `${listId}-${i}`, "aria-selected": String(i === active), class: item.name === selected ? "sdk-chosen" : "", "data-name": item.name,
      onclick: () => pick(item),
    }, h("span", {}, item.label), h("span", { class: "sdk-muted" }, item.formula))));
    list.hidden = !total;
    search.setAttribute("aria-expanded", String(total > 0));
    if (!total) note.textContent = all.length ? `Nothing called “${search.value.trim()}”. Try a formula, or upload a file.` : `Loading the ${noun}s…`;
    else note.textContent = total > shown.length ? `${total - shown.length} more; type to narrow down.` : "";
    if (active >= 0) { search.setAttribute("aria-activedescendant", `${listId}-${active}`); list.children[active].scrollIntoView({ block: "nearest" }); } else search.removeAttribute("aria-activedescendant");
  }

  // SMILES
  const smiles = h("input", { type: "text", class: "sd-structure-smiles", placeholder: "for example CCO for ethanol", "aria-label": "SMILES", autocomplete: "off", spellcheck: "false", onkeydown: (event) => { if (event.key === "Enter") sendSmiles(); } });
  function sendSmiles() { if (smiles.value.trim()) { localError = ""; model.send({ type: "smiles", text: smiles.value.trim() }); } }

  const panels = {
    library: [`Pick a ${noun}`, h("div", {}, search, list, note)],
    file: ["Upload a file", h("div", {}, drop)],
    smiles: ["SMILES", h("div", {}, h("div", { class: "sdk-row" }, h("div", { style: "flex:1;min-width:160px" }, smiles), h("button", { type: "button", class: "sd-structure-smiles-go", onclick: sendSmiles }, "Make 3-D structure")), h("p", { class: "sdk-help sdk-muted sdk-small" }, "The text is turned into a rough 3-D geometry with RDKit; the optimisation does the rest."))],
  };
  const names = Object.keys(panels).filter((name) => name !== "smiles" || model.get("smiles"));
  const tabs = h("div", { class: "sdk-tabs", role: "tablist", "aria-label": "Where the structure comes from" });
  const bodies = {};
  function show(name, focus) {
    names.forEach((other) => {
      bodies[other].hidden = other !== name;
      const tab = tabs.querySelector(`[data-tab=${other}]`);
      tab.setAttribute("aria-selected", String(other === name));
      tab.tabIndex = other === name ? 0 : -1;
      if (focus && other === name) tab.focus();
    });
  }
  names.forEach((name, i) => {
    const id = uid("sd-tab");
    tabs.append(h("button", {
      type: "button", role: "tab", class: `sdk-tab sd-structure-tab-${name}`, id, "data-tab": name, onclick: () => show(name),
      "aria-controls": `${id}-panel`,
      onkeydown: (event) => {
        const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: names.length - 1 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        show(names[(to + names.length) % names.length], true);
      },
    }, panels[name][0]));
    bodies[name] = h("div", { role: "tabpanel", id: `${id}-panel`, "aria-labelledby": id }, panels[name][1]);
  });
  const root = h("div", { class: "sdk sd-structure-chooser" }, tabs, ...names.map((name) => bodies[name]), error, chosen);
  show(names[0]);
  el.append(root);
  const stops = [follow(model, ["library", "selected"], drawList), follow(model, ["error", "summary", "busy", "notes"], () => { if (model.get("busy")) localError = ""; say(); })];
  return () => stops.forEach((stop) => stop());
}
export default { render };
