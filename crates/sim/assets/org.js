// Keeps what is marked live fresh: fetches the same page every two seconds and swaps what differs, unless the reader
// is busy in it.
"use strict";
(() => {
  const errors = document.getElementById("errors");
  if (errors) errors.focus();
  // On a phone the object at hand may lie beyond the edge.
  const tab = document.querySelector(".objects [aria-current]");
  if (tab) tab.scrollIntoView({ block: "nearest", inline: "center" });
  const state = document.querySelector("[data-live-state]");
  const say = (text) => { if (state && state.textContent !== text) state.textContent = text; };
  const refresh = async () => {
    if (document.hidden) return;
    try {
      const response = await fetch(location.href, { headers: { "X-Live": "1" } });
      if (!response.ok) throw new Error(String(response.status));
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      for (const now of document.querySelectorAll("[data-live]")) {
        const next = page.getElementById(now.id);
        const busy = now.contains(document.activeElement);
        if (next && !busy && now.innerHTML !== next.innerHTML) now.replaceChildren(...next.childNodes);
      }
      say("Live: changes appear by themselves.");
    } catch {
      say("The org does not answer; trying again.");
    }
  };
  say("Live: changes appear by themselves.");
  setInterval(refresh, 2000);
})();
