// Follows the start of the user's server and then goes to the app: POST (with the XSRF token), then the hub's progress.
"use strict";

(function () {
  const page = document.getElementById("opening");
  const show = {
    hint: document.getElementById("opening-hint"),
    bar: document.getElementById("opening-progress"),
    message: document.getElementById("opening-message"),
    log: document.getElementById("opening-log"),
    lines: document.getElementById("opening-lines"),
    failure: document.getElementById("opening-failure"),
    cause: document.getElementById("opening-cause"),
    retry: document.getElementById("opening-retry"),
  };
  let source = null;
  let ended = false;

  function say(text) {
    if (!text || text === show.message.textContent) return;
    show.message.textContent = text;
    show.log.hidden = false;
    show.lines.textContent += text + "\n";
  }

  function fail(cause) {
    ended = true;
    if (source) source.close();
    show.bar.hidden = show.hint.hidden = true;
    show.message.textContent = "";
    show.cause.textContent = cause || "The hub gave no reason.";
    show.failure.hidden = false;
    show.retry.hidden = false;
    show.retry.querySelector("button").focus();
  }

  function arrive() {
    ended = true;
    if (source) source.close();
    say("The server is ready.");
    // Not kept in the history: going back from the app leads to where the person came from.
    location.replace(page.dataset.target);
  }

  function follow() {
    source = new EventSource(page.dataset.events);
    const on = (type, act) => source.addEventListener(type, (event) => {
      if (!ended) act(JSON.parse(event.data));
    });
    on("progress", (news) => {
      if (typeof news.percent === "number" && news.percent > 0) show.bar.value = news.percent;
      say(news.message);
    });
    on("ready", arrive);
    on("failed", (news) => fail(news.message));
    // It is not starting (any more), or the stream is over without a word: this page knows what to do next.
    on("stopped", check);
    on("end", check);
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) check();
    };
  }

  // Ask for this page anew, which leads on to the app when the server runs, and else starts it.
  function check() {
    if (ended) return;
    ended = true;
    source.close();
    setTimeout(() => location.reload(), 1000);
  }

  async function start() {
    ended = false;
    show.failure.hidden = show.retry.hidden = true;
    show.bar.hidden = show.hint.hidden = false;
    show.bar.removeAttribute("value");
    show.message.textContent = "The server is asked to start …";
    try {
      const answer = await fetch(page.dataset.start, {
        method: "POST",
        headers: { "X-XSRF-Token": page.dataset.xsrf, Accept: "application/json" },
      });
      if (!answer.ok) {
        const problem = await answer.json().catch(() => ({}));
        fail([problem.detail, problem.remedy].filter(Boolean).join(" "));
        return;
      }
    } catch {
      fail("The deck cannot be reached. Check the connection and try again.");
      return;
    }
    follow();
  }

  show.retry.querySelector("button").addEventListener("click", start);
  start();
})();
