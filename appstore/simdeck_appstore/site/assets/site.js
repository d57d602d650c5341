// The catalogue's search, and the way into a person's own store. Pages work without it.
"use strict";
(() => {
  const part = (id) => document.getElementById(id);
  const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const words = (text) => fold(text).match(/[\p{L}\p{N}]+/gu) || [];

  function search() {
    const box = part("search"), query = part("query"), list = part("cards");
    if (!box || !list) return;
    box.hidden = false;
    const cards = [...list.children].map((card, number) => ({
      card, number,
      title: words(card.querySelector("h2").textContent),
      tags: words(card.dataset.tags),
      summary: words(card.querySelector(".summary").textContent),
      authors: words((card.querySelector(".authors") || {textContent: ""}).textContent),
      more: words(card.dataset.more),
    }));
    const fields = [["title", 100], ["tags", 50], ["summary", 20], ["authors", 10], ["more", 4]];
    // As the store ranks them: every word must begin one of the app's; a whole word counts more than a beginning.
    function score(app, wanted) {
      let total = 0;
      for (const word of wanted) {
        let best = 0;
        for (const [name, weight] of fields) {
          if (weight <= best) break;
          if (app[name].includes(word)) best = weight;
          else if (app[name].some((other) => other.startsWith(word))) best = Math.max(best, weight * 0.6);
        }
        if (!best) return 0;
        total += best;
      }
      return total;
    }
    function show() {
      const wanted = words(query.value);
      const found = cards.map((app) => ({app, score: wanted.length ? score(app, wanted) : 1})).filter((one) => one.score);
      found.sort((one, other) => other.score - one.score || one.app.number - other.app.number);
      const shown = new Set(found.map((one) => one.app));
      for (const app of cards) app.card.hidden = !shown.has(app);
      list.append(...found.map((one) => one.app.card));
      part("count").textContent = `${found.length} app${found.length === 1 ? "" : "s"}` + (wanted.length ? ` for “${query.value.trim()}”` : "");
      part("empty").hidden = found.length > 0;
      const address = new URL(location.href);
      if (query.value.trim()) address.searchParams.set("q", query.value.trim()); else address.searchParams.delete("q");
      try { history.replaceState(null, "", address); } catch { /* a page opened as a file */ }
    }
    query.value = new URLSearchParams(location.search).get("q") || "";
    query.addEventListener("input", show);
    if (query.value) show();
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || document.activeElement === query) return;
      event.preventDefault();
      query.focus();
    });
  }

  function openInDeck() {
    const box = part("deck");
    if (!box) return;
    const input = part("deck-address"), link = part("deck-link"), app = part("open").dataset.app;
    box.hidden = false;
    const stored = "simdeck-address";
    try { input.value = localStorage.getItem(stored) || ""; } catch { /* not allowed to keep anything */ }
    function point() {
      let address = null;
      try { address = new URL(input.value); } catch { /* not complete yet */ }
      const good = address !== null && /^https?:$/.test(address.protocol);
      link.href = good ? new URL(`services/deck/store/${app}`, address.origin + address.pathname.replace(/\/?$/, "/")) : "#deck-address";
      link.setAttribute("aria-disabled", String(!good));
      if (good) try { localStorage.setItem(stored, input.value); } catch { /* as above */ }
    }
    input.addEventListener("input", point);
    point();
  }

  search();
  openInDeck();
})();
