// A structure in 3-D with 3Dmol.js: rotate, zoom, a trajectory's frames, a vibration, atom labels.
const PERIOD = 20; // frames of one vibration
const FILL = 2 / 3; // how much of the stage a structure takes
const ATOM = 0.5; // Å; about the radius an atom is drawn with
const LEAST = 1.3; // Å from the middle to the upper edge at least, so that a lone atom does not fill the stage

/** From the middle of the stage to its upper edge, in Å, so that points about the origin fill it well. */
function halfHeight(points, aspect) {
  const half = (axis) => Math.max(0, ...points.map((point) => Math.abs(point[axis]))) + ATOM;
  return Math.max(LEAST, half(1) / FILL, half(0) / FILL / aspect);
}

function xyz(symbols, positions) {
  return `${symbols.length}\n\n` + symbols.map((symbol, i) => `${symbol} ${positions[i].map((x) => x.toFixed(5)).join(" ")}`).join("\n") + "\n";
}

function render({ model, el }) {
  const stage = h("div", { class: "sdk-stage sd-viewer-stage", tabindex: "0", role: "img" });
  const empty = h("div", { class: "sdk-stage-empty" }, "The structure appears here.");
  const area = h("div", { style: "position:absolute;inset:0" });
  stage.append(area, empty);
  const frame = h("input", { type: "range", min: "0", class: "sd-viewer-frame", "aria-label": "Step of the optimisation", oninput: () => set("frame", Number(frame.value)) });
  const frameText = h("span", { class: "sdk-small sdk-muted" });
  const frameBox = h("label", {}, "Step", frame, frameText);
  const amplitude = h("input", { type: "range", min: "0.1", max: "1.5", step: "0.05", class: "sd-viewer-amplitude", oninput: () => set("amplitude", Number(amplitude.value)) });
  const amplitudeBox = h("label", {}, "Amplitude", amplitude);
  const play = h("button", { type: "button", class: "sd-viewer-play", onclick: () => set("playing", !model.get("playing")) });
  const labels = h("input", { type: "checkbox", class: "sd-viewer-labels", onchange: () => set("labels", labels.checked) });
  const reset = h("button", { type: "button", onclick: home }, "Reset view");
  const controls = h("div", { class: "sdk-controls" }, frameBox, play, amplitudeBox, h("label", {}, labels, "Atom labels"), reset);
  const root = h("div", { class: "sdk sd-viewer" }, stage, controls);
  el.append(root);

  let viewer = null, shape = "", homeView = "", timer = 0, phase = 0, ended = false;
  function set(name, value) { model.set(name, value); model.save_changes(); }
  const frames = () => (model.get("trajectory").length ? model.get("trajectory") : []);
  const current = () => { const all = frames(); return all.length ? all[Math.min(model.get("frame"), all.length - 1)] : model.get("positions"); };

  // Positions and displacements stay as they are; only the picture is turned.
  const turned = (row) => (model.get("view").rotation || []).map((axis) => axis[0] * row[0] + axis[1] * row[1] + axis[2] * row[2]);
  const seen = (positions) => positions.map((row) => turned(row).map((x, i) => x - model.get("view").centre[i]));

  function home() {
    if (!viewer || !area.clientWidth) return;
    const points = seen([...(current() || []), ...corners()]);
    viewer.zoomTo(); // sets how deep the picture reaches
    const distance = halfHeight(points, area.clientWidth / area.clientHeight) / Math.tan((viewer.camera.fov * Math.PI) / 360);
    viewer.setView([0, 0, 0, viewer.CAMERA_Z - distance, 0, 0, 0, 1]);
    homeView = String(viewer.getView());
  }

  function geometry(real, keepView) {
    const positions = seen(real);
    const symbols = model.get("symbols");
    viewer.removeAllModels();
    viewer.removeAllLabels();
    if (symbols.length && positions.length === symbols.length) {
      const drawn = viewer.addModel(xyz(symbols, positions), "xyz");
      drawn.setStyle({}, { stick: { radius: 0.13, colorscheme: "Jmol" }, sphere: { scale: 0.26, colorscheme: "Jmol" } });
      if (model.get("labels")) {
        const { text, surface } = colours(root);
        symbols.forEach((symbol, i) => viewer.addLabel(`${symbol}${i + 1}`, { position: { x: positions[i][0], y: positions[i][1], z: positions[i][2] }, fontSize: 12, fontColor: text, backgroundColor: surface, backgroundOpacity: 0.75, inFront: true }));
      }
    }
    box();
    if (keepView) viewer.render(); else home();
  }

  /** The unit cell's eight corners; the bits of a corner's number say which vectors lead to it. */
  function corners() {
    const cell = model.get("cell") || [];
    if (cell.length !== 3) return [];
    return Array.from({ length: 8 }, (_, n) => [0, 1, 2].map((x) => (n & 1) * cell[0][x] + ((n >> 1) & 1) * cell[1][x] + (n >> 2) * cell[2][x]));
  }
  function box() {
    viewer.removeAllShapes();
    const at = seen(corners()).map(([x, y, z]) => ({ x, y, z }));
    if (!at.length) return;
    const color = colours(root).muted;
    for (const [a, b] of [[0, 1], [0, 2], [0, 4], [1, 3], [1, 5], [2, 3], [2, 6], [3, 7], [4, 5], [4, 6], [5, 7], [6, 7]]) {
      viewer.addLine({ start: at[a], end: at[b], color, linewidth: 1.5 });
    }
  }

  function stop() { clearTimeout(timer); timer = 0; }

  function vibrate() {
    stop();
    const mode = model.get("mode");
    if (!viewer || !mode.length) return;
    const base = current();
    const size = model.get("amplitude");
    const at = (k) => base.map((r, i) => r.map((x, j) => x + size * Math.sin((2 * Math.PI * k) / PERIOD) * mode[i][j]));
    if (!model.get("playing")) { geometry(at(PERIOD / 4), true); return; }
    const beat = () => {
      if (!root.isConnected) return;
      const begun = performance.now();
      if (!document.hidden) {
        phase = (phase + 1) % PERIOD;
        geometry(at(phase), true);
      }
      // Without a graphics processor a picture may take longer than a beat; the page must stay usable.
      timer = setTimeout(beat, Math.max(50, 2 * (performance.now() - begun)));
    };
    beat();
  }

  function draw() {
    const symbols = model.get("symbols"), all = frames(), mode = model.get("mode");
    empty.hidden = symbols.length > 0;
    frameBox.hidden = all.length < 2 || mode.length > 0;
    frame.max = String(Math.max(0, all.length - 1));
    frame.value = String(model.get("frame"));
    frameText.textContent = all.length ? `${model.get("frame")} of ${all.length - 1}` : "";
    play.hidden = amplitudeBox.hidden = !mode.length;
    play.textContent = model.get("playing") ? "Pause" : "Play vibration";
    play.setAttribute("aria-pressed", String(model.get("playing")));
    amplitude.value = String(model.get("amplitude"));
    labels.checked = model.get("labels");
    controls.hidden = !symbols.length;
    stage.setAttribute("aria-label", model.get("description") || "No structure");
    if (!viewer) return;
    const now = symbols.join() + JSON.stringify([model.get("view"), model.get("cell")]);
    const same = now === shape;
    shape = now;
    stop();
    if (mode.length && same) { vibrate(); return; }
    geometry(current() || [], same);
    if (mode.length) vibrate();
  }

  function theme() {
    if (viewer) { viewer.setBackgroundColor(colours(root).surface, 1); draw(); }
  }

  stage.addEventListener("keydown", (event) => {
    if (!viewer) return;
    const turns = { ArrowLeft: ["y", -10], ArrowRight: ["y", 10], ArrowUp: ["x", -10], ArrowDown: ["x", 10] };
    if (turns[event.key]) { event.preventDefault(); viewer.rotate(turns[event.key][1], turns[event.key][0]); }
    if (event.key === "+" || event.key === "-") { viewer.zoom(event.key === "+" ? 1.15 : 0.87); }
  });

  if (model.get("playing") && reducedMotion()) set("playing", false);
  library(model, "$3Dmol").then(
    (lib) => {
      if (ended) return;
      try {
        viewer = lib.createViewer(area, { backgroundColor: colours(root).surface, antialias: true });
        if (!viewer) throw new Error("no WebGL");
      } catch (error) {
        empty.hidden = false;
        empty.textContent = "This browser shows no 3-D graphics (WebGL is off). Everything else works.";
        viewer = null;
        return;
      }
      shape = "";
      draw();
      stage.dataset.ready = "true";
    },
    () => { empty.hidden = false; empty.textContent = "The 3-D viewer could not be loaded. Everything else works."; },
  );
  const resize = new ResizeObserver(() => { if (viewer && area.clientWidth) { const left = String(viewer.getView()) === homeView; viewer.resize(); if (left || !homeView) home(); else viewer.render(); } });
  resize.observe(area);
  const stops = [follow(model, ["symbols", "positions", "trajectory", "frame", "mode", "amplitude", "playing", "labels", "view", "cell", "description"], draw), onTheme(theme), () => resize.disconnect(), stop];
  return () => { ended = true; stops.forEach((end) => end()); };
}
export default { render };
