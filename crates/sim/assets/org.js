// Keeps lists fresh: fetches the same page every two seconds and swaps its rows, unless the reader is busy in them.
"use strict";
(() => {
  const region = document.querySelector("[data-live]");
  const errors = document.getElementById("errors");
  if (errors) errors.focus();
  if (!region) return;
  const state = document.querySelector("[data-live-state]");
  const say = (text) => { if (state && state.textContent !== text) state.textContent = text; };
  const refresh = async () => {
    if (document.hidden || region.contains(document.activeElement) && document.activeElement !== region) return;
    try {
      const response = await fetch(location.href, { headers: { "X-Live": "1" } });
      if (!response.ok) throw new Error(String(response.status));
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      for (const selector of ["#records tbody", "#usage", "nav.objects ul"]) {
        const now = document.querySelector(selector);
        const next = page.querySelector(selector);
        if (now && next && now.innerHTML !== next.innerHTML && !now.contains(document.activeElement)) now.replaceWith(next);
      }
      say("Live: changes appear by themselves.");
    } catch {
      say("The org does not answer; trying again.");
    }
  };
  say("Live: changes appear by themselves.");
  setInterval(refresh, 2000);
})();
