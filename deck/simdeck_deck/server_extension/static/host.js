// A light front end for pages made of anywidgets in boxes: draws from the state that came with the page, then speaks to the
// kernel over its websocket. Pages with any other widget are shown by Voilà's front end instead; the server decides.
const config = JSON.parse(document.getElementById("jupyter-config-data").textContent);
const given = JSON.parse(document.getElementById("simdeck-widgets").textContent);
const session = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2);
const models = new Map();
const modules = new Map();

// --- the kernel's websocket -----------------------------------------------------------------------------------------

let socket = null, tries = 0, leaving = false;
const waiting = [];

function connect() {
  const base = location.origin.replace(/^http/, "ws");
  socket = new WebSocket(`${base}${config.baseUrl}api/kernels/${config.kernelId}/channels?session_id=${session}`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    tries = 0;
    tell("connected");
    while (waiting.length) socket.send(waiting.shift());
    // What changed between drawing and now was told to nobody: ask for everything once.
    post("comm_open", { comm_id: control, target_name: "jupyter.widget.control", data: { widgets: {} } }, { version: "1.0.0" }, true);
    post("comm_msg", { comm_id: control, data: { method: "request_states" } }, {}, true);
  };
  socket.onmessage = (event) => hear(event.data);
  socket.onclose = async () => {
    if (leaving) return;
    tries += 1;
    tell("connecting");
    if (!(await there())) return;
    setTimeout(connect, Math.min(15000, 500 * 2 ** Math.min(tries, 5)));
  };
}

// The server does not close the socket of a kernel that has ended; so ask when something sent gets no answer for a while, and
// when the page is looked at again. Not by the clock: an open page must not count as work going on.
async function there() {
  // JupyterHub wants the token of every request that a script makes, reading ones too.
  const headers = { "X-XSRFToken": (document.cookie.match("(?:^|; )_xsrf=([^;]*)") || [])[1] || "" };
  const status = await fetch(`${config.baseUrl}api/kernels/${config.kernelId}`, { headers }).then((r) => r.status, () => 0);
  const gone = status === 404;
  if (gone && !leaving) tell("disconnected");
  return !gone;
}
let silence = 0;
document.addEventListener("visibilitychange", () => { if (!document.hidden) there(); });

const control = session.replaceAll("-", "");
const tell = (status) => window.dispatchEvent(new CustomEvent("simdeck-connection", { detail: status }));
window.addEventListener("pagehide", () => { leaving = true; });

function post(type, content, metadata, first, buffers) {
  const header = { msg_id: `${session}-${Math.random().toString(36).slice(2)}`, msg_type: type, username: "", session, version: "5.4", date: new Date().toISOString() };
  const message = { channel: "shell", header, parent_header: {}, metadata: metadata || {}, content };
  let data = JSON.stringify(message);
  if (buffers && buffers.length) data = pack(data, buffers);
  silence = silence || setTimeout(there, 4000);
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(data);
  else if (!first) waiting.push(data);
}

// Messages with buffers: their number, the offsets of all parts, the parts (big-endian 32 bit).
function pack(text, buffers) {
  const parts = [new TextEncoder().encode(text), ...buffers.map((b) => new Uint8Array(b.buffer || b, b.byteOffset || 0, b.byteLength))];
  const head = 4 * (parts.length + 1);
  const out = new Uint8Array(head + parts.reduce((sum, part) => sum + part.length, 0));
  const view = new DataView(out.buffer);
  view.setUint32(0, parts.length);
  let at = head;
  parts.forEach((part, i) => { view.setUint32(4 * (i + 1), at); out.set(part, at); at += part.length; });
  return out.buffer;
}
function unpack(data) {
  if (typeof data === "string") return JSON.parse(data);
  const view = new DataView(data), count = view.getUint32(0);
  const ends = [...Array(count).keys()].map((i) => view.getUint32(4 * (i + 1))).concat(data.byteLength);
  const message = JSON.parse(new TextDecoder().decode(data.slice(ends[0], ends[1])));
  message.buffers = ends.slice(1, -1).map((start, i) => new DataView(data, start, ends[i + 2] - start));
  return message;
}

function hear(data) {
  clearTimeout(silence);
  silence = 0;
  const message = unpack(data), { content } = message;
  if (message.msg_type === "simdeck_walltime") window.dispatchEvent(new CustomEvent("simdeck-walltime", { detail: content }));
  if (message.msg_type === "status" && content.execution_state === "restarting") tell("ended");
  if (message.msg_type === "comm_open" && content.target_name === "jupyter.widget") {
    if (!models.has(content.comm_id)) new Model(content.comm_id, content.data.state);
    return;
  }
  if (message.msg_type !== "comm_msg") return;
  const body = content.data;
  if (content.comm_id === control && body.method === "update_states") {
    (body.buffer_paths || []).forEach((path, i) => put(body.states, path, message.buffers[i]));
    for (const [id, { state }] of Object.entries(body.states)) {
      if (models.has(id)) models.get(id).receive(state); else new Model(id, state);
    }
    if (waits) { waits = false; draw(); }
    return;
  }
  const model = models.get(content.comm_id);
  if (!model) return;
  if (body.method === "update") {
    (body.buffer_paths || []).forEach((path, i) => put(body.state, path, message.buffers[i]));
    model.receive(body.state);
  } else if (body.method === "custom") model.emit("msg:custom", body.content, message.buffers || []);
}
function put(state, path, value) {
  const last = path[path.length - 1];
  path.slice(0, -1).reduce((place, key) => place[key], state)[last] = value;
}

// --- models ---------------------------------------------------------------------------------------------------------

class Model {
  constructor(id, state) {
    this.id = id;
    this.state = state;
    this.dirty = {};
    this.calls = new Map();
    models.set(id, this);
  }
  get(name) { return this.state[name]; }
  set(name, value) {
    const changes = typeof name === "object" ? name : { [name]: value };
    for (const [key, fresh] of Object.entries(changes)) {
      if (Object.is(this.state[key], fresh)) continue;
      this.state[key] = fresh;
      this.dirty[key] = fresh;
      this.emit(`change:${key}`, fresh);
    }
    this.emit("change");
  }
  save_changes() {
    const state = this.dirty;
    this.dirty = {};
    if (Object.keys(state).length) post("comm_msg", { comm_id: this.id, data: { method: "update", state, buffer_paths: [] } });
  }
  send(content, _callbacks, buffers) { post("comm_msg", { comm_id: this.id, data: { method: "custom", content } }, {}, false, buffers); }
  receive(state) {
    const changed = Object.keys(state).filter((key) => !(key in this.dirty) && JSON.stringify(this.state[key]) !== JSON.stringify(state[key]));
    changed.forEach((key) => { this.state[key] = state[key]; });
    changed.forEach((key) => this.emit(`change:${key}`, state[key]));
    if (changed.length) this.emit("change");
  }
  on(names, call) { names.split(/\s+/).forEach((name) => { if (!this.calls.has(name)) this.calls.set(name, []); this.calls.get(name).push(call); }); }
  off(names, call) {
    if (!names) { this.calls.clear(); return; }
    names.split(/\s+/).forEach((name) => this.calls.set(name, call ? (this.calls.get(name) || []).filter((other) => other !== call) : []));
  }
  emit(name, ...values) {
    for (const call of [...(this.calls.get(name) || [])]) {
      try { call(...values); } catch (error) { console.error(error); }
    }
  }
  get widget_manager() { return { get_model: (id) => Promise.resolve(models.get(id.replace("IPY_MODEL_", ""))) }; }
}
const refer = (text) => models.get(String(text).replace("IPY_MODEL_", ""));

// --- views ----------------------------------------------------------------------------------------------------------

function load(source) {
  if (!modules.has(source)) {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    modules.set(source, import(url).finally(() => URL.revokeObjectURL(url)));
  }
  return modules.get(source);
}
const styled = new Set();
function style(css) {
  if (!css || styled.has(css)) return;
  styled.add(css);
  const element = document.createElement("style");
  element.textContent = css;
  document.head.append(element);
}

function frame(model, element) {
  const layout = refer(model.get("layout"));
  const draw = () => {
    element.className = [...element.dataset.base.split(" "), ...(model.get("_dom_classes") || [])].filter(Boolean).join(" ");
  };
  const lay = () => {
    for (const [name, value] of Object.entries(layout ? layout.state : {})) {
      if (!name.startsWith("_") && typeof value !== "object") element.style.setProperty(name.replaceAll("_", "-"), value);
      else if (!name.startsWith("_") && value === null) element.style.removeProperty(name.replaceAll("_", "-"));
    }
  };
  model.on("change:_dom_classes", draw);
  if (layout) layout.on("change", lay);
  draw();
  lay();
}

const drawn = new Map();
function view(model) {
  // One element per model: moving a widget to another place must not draw it anew.
  if (drawn.has(model.id)) return drawn.get(model.id);
  const element = document.createElement("div");
  drawn.set(model.id, element);
  const kind = model.get("_model_name");
  if (kind === "AnyModel") {
    element.dataset.base = "jupyter-widgets";
    frame(model, element);
    style(model.get("_css"));
    load(model.get("_esm")).then(async (module) => {
      const widget = typeof module.default === "function" ? await module.default() : module.default || module;
      if (widget.initialize) await widget.initialize({ model });
      if (widget.render) await widget.render({ model, el: element });
    }).catch((error) => {
      console.error(error);
      element.textContent = "A part of this page could not be drawn. Reload the page.";
    });
  } else {
    element.dataset.base = `jupyter-widgets widget-container widget-box ${kind === "HBoxModel" ? "widget-hbox" : "widget-vbox"}`;
    frame(model, element);
    const fill = () => element.replaceChildren(...model.get("children").map(refer).filter(Boolean).map(view));
    model.on("change:children", fill);
    fill();
  }
  return element;
}

for (const [id, { state }] of Object.entries(given.models)) {
  for (const key of ["_esm", "_css"]) if (typeof state[key] === "number") state[key] = given.texts[state[key]];
  new Model(id, state);
}
// Voilà's own scripts would move the cells; here they stay.
function draw() {
  given.roots.forEach((id) => {
    const place = document.querySelector(`[data-simdeck-root="${id}"]`);
    if (place && models.has(id)) place.replaceWith(view(models.get(id)));
  });
}
// A page that goes on where it was: what its widgets hold now comes from the kernel.
let waits = Boolean(given.again);
if (!waits) draw();
connect();
