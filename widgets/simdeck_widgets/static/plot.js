// A plotly figure given as a plain dict, in the page's colours; saved as PNG or CSV.
function render({ model, el }) {
  const area = h("div", { class: "sdk-plot-area", role: "img" });
  const csv = h("button", { type: "button", class: "sd-plot-csv", onclick: () => save(new Blob([model.get("csv")], { type: "text/csv" }), `${model.get("filename")}.csv`) }, "CSV");
  const png = h("button", { type: "button", class: "sd-plot-png", onclick: () => window.Plotly && window.Plotly.downloadImage(area, { format: "png", filename: model.get("filename"), width: 1200, height: 700, scale: 2 }) }, "PNG");
  const root = h("div", { class: `sdk sdk-plot ${model.get("css_class")}` }, area, h("div", { class: "sdk-plot-tools" }, csv, png));
  el.append(root);
  let plotly = null, gone = false;

  function layout(given) {
    const { text, muted, line } = colours(root);
    const axis = (own) => ({ gridcolor: line, zerolinecolor: line, linecolor: muted, tickcolor: muted, automargin: true, ...own, title: own && own.title ? { ...(own.title.text ? own.title : { text: own.title }) } : undefined });
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: text, family: "system-ui, sans-serif", size: 13 }, margin: { l: 64, r: 16, t: 30, b: 52 },
      autosize: true, hovermode: "closest", showlegend: false, ...given, xaxis: axis(given.xaxis), yaxis: axis(given.yaxis),
      ...(given.yaxis2 ? { yaxis2: axis(given.yaxis2) } : {}), height: undefined,
    };
  }
  /** The plot as wide as its place, also when that changed while it was being drawn. */
  function fit() {
    const drawn = area.querySelector("svg.main-svg");
    if (!gone && drawn && area.clientWidth && drawn.clientWidth !== area.clientWidth) plotly.Plots.resize(area);
  }
  function draw() {
    csv.hidden = !model.get("csv");
    area.setAttribute("aria-label", model.get("description"));
    if (!plotly || gone) return;
    const figure = model.get("figure");
    const accent = colours(root).accent;
    const data = (figure.data || []).map((trace) => ({ ...trace, line: { color: accent, width: 2, ...trace.line }, marker: { color: accent, ...trace.marker } }));
    plotly.react(area, data, layout(figure.layout || {}), { displaylogo: false, responsive: true, displayModeBar: false }).then(fit);
    area.dataset.ready = "true";
  }
  library(model, "Plotly").then((lib) => { plotly = lib; draw(); }, () => { area.replaceChildren(h("p", { class: "sdk-muted" }, "The plot could not be drawn: its program did not load. The data can be saved as CSV.")); });
  const resize = new ResizeObserver(() => { if (plotly && area.clientWidth && area.data) plotly.Plots.resize(area); });
  resize.observe(area);
  const stops = [follow(model, ["figure", "csv", "description"], draw), onTheme(draw), () => resize.disconnect()];
  return () => { gone = true; stops.forEach((stop) => stop()); if (plotly) plotly.purge(area); };
}
export default { render };
