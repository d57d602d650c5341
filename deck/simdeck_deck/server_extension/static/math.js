// Stands where Voilà expects MathJax: app pages typeset no formulas, and load nothing from other sites.
window.MathJax = {
  Hub: { Config() {}, Configured() {}, Queue() {}, Register: { StartupHook() {} }, Startup: { signal: { Interest() {} } } },
};
