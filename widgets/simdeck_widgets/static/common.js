// Shared by every widget of the kit; put before each widget's own script. No dependency.

/** Make an element: h("div", {class: "x", onclick: f}, "text", child). */
function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Call `draw` now and whenever one of the model's `names` changes; returns the function that stops it. */
function follow(model, names, draw) {
  names.forEach((name) => model.on(`change:${name}`, draw));
  draw();
  return () => names.forEach((name) => model.off(`change:${name}`, draw));
}

/** Set an element's text only when it changes: a live region then says each thing once. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Wrap a drawing function so that it draws again only when what `state` returns has changed. */
function whenChanged(state, draw) {
  let last;
  return () => {
    const now = JSON.stringify(state());
    if (now !== last) { last = now; draw(); }
  };
}

let counter = 0;
const uid = (prefix) => `${prefix}-${Date.now().toString(36)}-${counter++}`;

/** The colours of the page the widget is in, for libraries that draw themselves. */
function colours(element) {
  const style = getComputedStyle(element);
  const get = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  return {
    surface: get("--sdk-surface", "#ffffff"), text: get("--sdk-text", "#161b22"), muted: get("--sdk-muted", "#56606d"),
    line: get("--sdk-line", "#dadfe5"), accent: get("--sdk-accent", "#0e5f6e"),
  };
}

/** Call `redraw` when the page turns dark or light; returns the function that stops it. */
function onTheme(redraw) {
  let last = "";
  const look = () => {
    const now = [document.documentElement.dataset.theme, document.body.dataset.jpThemeLight, document.body.dataset.jpThemeName].join();
    if (now !== last) { last = now; redraw(); }
  };
  const observer = new MutationObserver(look);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  observer.observe(document.body, { attributes: true });
  last = [document.documentElement.dataset.theme, document.body.dataset.jpThemeLight, document.body.dataset.jpThemeName].join();
  return () => observer.disconnect();
}

const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/**
 * Load a library script once per page: from the address the page gives (kept by the browser for a year), else from the
 * kernel through the comm. The script is run as a classic script and leaves a global of that name.
 */
function library(model, global) {
  window.__simdeckLibraries = window.__simdeckLibraries || {};
  const known = window.__simdeckLibraries;
  if (window[global]) return Promise.resolve(window[global]);
  if (!known[global]) {
    known[global] = fromAddress(model.get("library_url"), global)
      .catch(() => fromKernel(model, global))
      .catch((error) => { delete known[global]; throw error; });
  }
  return known[global];
}

function fromAddress(url, global) {
  if (!url) return Promise.reject(new Error("no address"));
  return runScript(url, global);
}

function runScript(url, global) {
  return new Promise((resolve, reject) => {
    // A page with an AMD loader would swallow the global.
    const define = window.define;
    if (define && define.amd) window.define = undefined;
    const done = () => { if (define) window.define = define; };
    const script = h("script", {
      src: url,
      onload: () => { done(); window[global] ? resolve(window[global]) : reject(new Error(`${global} is missing`)); },
      onerror: () => { done(); reject(new Error(`cannot load ${url}`)); },
    });
    document.head.append(script);
  });
}

function fromKernel(model, global) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => { model.off("msg:custom", hear); reject(new Error("the kernel did not send the library")); }, 30000);
    const hear = (message, buffers) => {
      if (message.type !== "library" || message.name !== global) return;
      clearTimeout(timer);
      model.off("msg:custom", hear);
      if (message.error) { reject(new Error(message.error)); return; }
      const url = URL.createObjectURL(new Blob([buffers[0]], { type: "text/javascript" }));
      runScript(url, global).then(resolve, reject).finally(() => URL.revokeObjectURL(url));
    };
    model.on("msg:custom", hear);
    model.send({ type: "library", name: global });
  });
}

/** Offer `content` (a Blob) as a file to save. */
function save(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** A moment as people say it; the exact one in the title. */
function ago(iso) {
  const seconds = (Date.now() - new Date(iso).getTime()) / 1000;
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (seconds >= size) return format.format(-Math.floor(seconds / size), unit);
  }
  return "just now";
}
