// The page shown while an app's web program starts: goes on to the app as soon as it answers.
(function () {
  "use strict";
  const address = document.currentScript.dataset.state;
  const words = document.getElementById("sd-starting");
  async function look() {
    const headers = { "X-XSRFToken": (document.cookie.match("(?:^|; )_xsrf=([^;]*)") || [])[1] || "" };
    const answer = await fetch(address, { headers, cache: "no-store" }).then((one) => (one.ok ? one.json() : {}), () => ({}));
    if (answer.state && answer.state !== "starting") location.reload();
    else setTimeout(look, 400);
    if (!answer.state && words) words.textContent = "Your server does not answer. Still trying …";
  }
  look();
})();
