// A shared link's key stands behind its "#". It is kept in this tab while the person signs in, then sent in a form.
"use strict";

(function () {
  const page = document.getElementById("shared");
  const name = "simdeck-share-" + page.dataset.ticket;
  const form = document.getElementById("shared-form");
  if (form) {
    const key = sessionStorage.getItem(name);
    if (!key) return;
    sessionStorage.removeItem(name);
    form.elements.key.value = key;
    form.requestSubmit();
    return;
  }
  const key = location.hash.slice(1);
  if (key) sessionStorage.setItem(name, key);
  location.replace(page.dataset.next);
})();
