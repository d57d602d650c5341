// The app page around the widgets: light and dark, the state of the connection, ending the kernel with the page.
(function () {
  "use strict";
  const root = document.documentElement;

  function setTheme(theme, remember) {
    root.dataset.theme = theme;
    document.body.dataset.jpThemeLight = String(theme !== "dark");
    document.body.dataset.jpThemeName = theme === "dark" ? "JupyterLab Dark" : "JupyterLab Light";
    if (remember) {
      try { localStorage.setItem("simdeck-theme", theme); } catch (error) { /* private window: for this page only */ }
    }
    window.dispatchEvent(new CustomEvent("simdeck-theme", { detail: theme }));
  }

  function storedTheme() {
    try { return localStorage.getItem("simdeck-theme"); } catch (error) { return null; }
  }

  const system = matchMedia("(prefers-color-scheme: dark)");
  if (!root.dataset.theme) {
    const stored = storedTheme();
    root.dataset.theme = stored === "dark" || (stored !== "light" && system.matches) ? "dark" : "light";
  }
  system.addEventListener("change", () => {
    if (!storedTheme()) setTheme(system.matches ? "dark" : "light", false);
  });
  const button = document.getElementById("sd-theme");
  if (button) button.addEventListener("click", () => setTheme(root.dataset.theme === "dark" ? "light" : "dark", true));

  const cells = document.getElementById("rendered_cells");
  if (!cells) return;

  // The skeleton goes when the first widget is there; a page without widgets is there when Voilà has started.
  const opening = document.getElementById("sd-opening");
  const observer = new MutationObserver(() => {
    if (cells.querySelector(".jupyter-widgets, .jp-OutputArea-output > *, .jp-MarkdownOutput")) {
      observer.disconnect();
      document.body.classList.add("sd-rendered");
      if (opening) opening.textContent = "";
      performance.mark("simdeck-rendered");
    }
  });
  observer.observe(cells, { childList: true, subtree: true });

  const note = document.getElementById("sd-connection");
  let timer = 0;
  function say(text, reload) {
    note.textContent = text;
    if (reload) {
      const link = document.createElement("a");
      link.href = location.href;
      link.textContent = "Reload the page";
      note.append(" ", link);
    }
    note.hidden = !text;
  }
  function connection(status) {
    clearTimeout(timer);
    document.body.dataset.connection = status;
    if (status === "connected") say("", false);
    else if (status === "disconnected") say("The connection to your server is gone. Your runs go on without it.", true);
    else timer = setTimeout(() => say("Reconnecting to your server… Your runs go on meanwhile.", false), 1500);
  }
  function life(status) {
    if (status === "dead" || status === "autorestarting" || status === "restarting") {
      say("This page's session has ended. Your runs are not affected.", true);
    }
  }

  window.addEventListener("simdeck-connection", (event) => (event.detail === "ended" ? life("dead") : connection(event.detail)));

  const config = () => JSON.parse((document.getElementById("jupyter-config-data") || {}).textContent || "{}");
  function watch(tries) {
    const app = window.jupyterapp;
    const manager = app && app.widgetManager;
    const kernel = manager && manager.kernel;
    if (kernel && kernel.connectionStatusChanged) {
      kernel.connectionStatusChanged.connect((_, status) => connection(status));
      kernel.statusChanged.connect((_, status) => life(status));
      document.body.dataset.connection = kernel.connectionStatus;
      kernel.iopubMessage.connect((_, message) => {
        if (message.header.msg_type === "simdeck_walltime") window.dispatchEvent(new CustomEvent("simdeck-walltime", { detail: message.content }));
      });
    } else if (tries > 0) {
      setTimeout(() => watch(tries - 1), 500);
    }
  }
  if (!document.getElementById("simdeck-widgets")) window.addEventListener("load", () => watch(120));

  // A page that is left says so, and leaves a note at its own address: opened there again, it goes on where it was.
  let fresh = false;
  const remember = (kernelId, seconds) => {
    document.cookie = `simdeck-page=${kernelId}; path=${location.pathname}; max-age=${seconds}; samesite=lax`;
  };
  window.addEventListener("beforeunload", () => {
    const { kernelId, simdeckReattach } = config();
    if (kernelId && simdeckReattach && !fresh) remember(kernelId, simdeckReattach);
  });
  window.addEventListener("simdeck-fresh", () => { fresh = true; });
  const anew = document.getElementById("sd-fresh");
  if (anew) anew.addEventListener("click", () => { window.dispatchEvent(new Event("simdeck-fresh")); location.reload(); });
  // Shown again from the browser's own memory: its connection is gone.
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  window.addEventListener("pagehide", () => {
    const { baseUrl, kernelId, simdeckView } = config();
    if (!kernelId) return;
    const data = new FormData();
    data.append("_xsrf", (document.cookie.match("\\b_xsrf=([^;]*)") || [])[1] || "");
    data.append("view", simdeckView || "");
    if (fresh) data.append("now", "1");
    navigator.sendBeacon(`${baseUrl}deck/api/close/${kernelId}`, data);
  });
})();
