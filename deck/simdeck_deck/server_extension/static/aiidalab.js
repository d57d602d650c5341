// What notebooks written for AiiDAlab's classic notebook expect to find in the page. Runs before anything of the app does.
(function () {
  "use strict";
  const again = () => location.reload();
  const nothing = () => {};
  class OutputArea { _should_scroll() { return false; } }
  OutputArea.auto_scroll_threshold = 9999;
  const notebook = {
    // "Start anew" in an app's crash message: the page with a kernel of its own.
    restart_run_all: () => window.dispatchEvent(new CustomEvent("simdeck-fresh")) && again(),
    restart_kernel: again,
    execute_all_cells: nothing,
    save_checkpoint: nothing,
    save_notebook: nothing,
    get_cells: () => [],
    get_cell_elements: () => [],
    notebook_path: decodeURIComponent(location.pathname),
    kernel: { execute: nothing, is_connected: () => true },
    events: { on: nothing, off: nothing, trigger: nothing },
  };
  const own = { OutputArea, notebook, keyboard_manager: { register_events: nothing, disable: nothing, enable: nothing }, utils: {} };
  window.IPython = Object.assign(window.IPython || {}, own);
  window.Jupyter = Object.assign(window.Jupyter || {}, own);

  // The few words of jQuery that apps use to hide things of the notebook's page, most of which are not there.
  class Found extends Array {
    hide() { return this.each((_, one) => { one.hidden = true; }); }
    show() { return this.each((_, one) => { one.hidden = false; }); }
    each(call) { this.forEach((one, index) => call.call(one, index, one)); return this; }
    css(name, value) {
      const all = typeof name === "object" ? name : { [name]: value };
      return this.each((_, one) => Object.entries(all).forEach(([key, to]) => one.style.setProperty(key, to)));
    }
    addClass(name) { return this.each((_, one) => one.classList.add(name)); }
    removeClass(name) { return this.each((_, one) => one.classList.remove(name)); }
    attr(name, value) { return value === undefined ? this[0] && this[0].getAttribute(name) : this.each((_, one) => one.setAttribute(name, value)); }
    html(text) { return text === undefined ? this[0] && this[0].innerHTML : this.each((_, one) => { one.innerHTML = text; }); }
    text(text) { return text === undefined ? this[0] && this[0].textContent : this.each((_, one) => { one.textContent = text; }); }
    remove() { return this.each((_, one) => one.remove()); }
    on(name, call) { return this.each((_, one) => one.addEventListener(name, call)); }
    click(call) { return call ? this.on("click", call) : this.each((_, one) => one.click()); }
    ready(call) { call(); return this; }
  }
  const find = (what) => {
    if (typeof what === "function") { what(); return new Found(); }
    if (typeof what !== "string") return Found.from(what && what.nodeType ? [what] : []);
    try { return Found.from(document.querySelectorAll(what)); } catch (error) { return new Found(); }
  };
  // RequireJS itself comes when it is asked for: with its define() in the page, the widgets' own scripts do not load.
  const source = document.currentScript.dataset.require;
  let asked = null;
  const settings = [];
  function really() {
    asked = asked || new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = source;
      script.onload = () => { settings.forEach((one) => window.requirejs.config(one)); resolve(window.requirejs); };
      script.onerror = () => reject(new Error("RequireJS could not be loaded"));
      delete window.require;
      delete window.requirejs;
      document.head.append(script);
    });
    return asked;
  }
  const later = (...given) => { really().then((real) => real(...given), given[2] || console.error); };
  later.config = (one) => { settings.push(one); };
  later.undef = nothing;
  window.require = window.requirejs = later;

  if (!window.jQuery) window.jQuery = window.$ = find;
})();
