// The console's script: the page follows what happens. It asks for itself
// again every few seconds and puts in the parts that differ. Without it,
// Refresh does the same by hand.
(() => {
  "use strict";
  const live = document.querySelector("[data-live]");
  const announce = document.querySelector("[data-announce]");
  const asOf = document.querySelector("[data-as-of]");
  const link = document.querySelector("[data-link]");
  const parts = (root) => [...root.querySelectorAll("[data-part]")];
  if (!parts(live).length) return;
  const EVERY = 4000;
  let wait = EVERY;
  let timer;
  let etag;
  // What the server sent of each part: what people did to it since is theirs.
  const sent = new Map(parts(live).map((part) => [part.id, part.outerHTML]));

  const isInUse = (part) => {
    const chosen = getSelection();
    return chosen && !chosen.isCollapsed && (part.contains(chosen.anchorNode) || part.contains(chosen.focusNode));
  };
  const replace = (old, made) => {
    const active = old.contains(document.activeElement) ? document.activeElement : null;
    const ticked = [...old.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.id);
    old.replaceWith(made);
    for (const id of ticked) {
      const box = id && document.getElementById(id);
      if (box) box.checked = true;
    }
    if (!active) return;
    const again = (active.id && document.getElementById(active.id)) ||
      (active.href && [...made.querySelectorAll("a[href]")].find((one) => one.href === active.href));
    if (again) return again.focus({ preventScroll: true });
    // What had the focus is gone: its part has it, so that Tab goes on from there.
    made.tabIndex = -1;
    made.focus({ preventScroll: true });
  };
  // Whether all that differs was put in.
  const put = (html) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    const fresh = parts(page);
    if (fresh.map((part) => part.id).join() !== [...sent.keys()].join()) return location.reload();
    const before = live.querySelector("[data-state]")?.dataset.state;
    let whole = true;
    const top = scrollY;
    for (const part of fresh) {
      const html = part.outerHTML;
      if (sent.get(part.id) === html) continue;
      const old = document.getElementById(part.id);
      if (isInUse(old)) {
        whole = false;
        continue;
      }
      sent.set(part.id, html);
      replace(old, document.adoptNode(part));
    }
    if (scrollY !== top) scrollTo({ top, behavior: "instant" });
    const now = live.querySelector("[data-state]")?.dataset.state;
    if (now !== before) {
      announce.textContent = now;
      document.title = page.title;
    }
    return whole;
  };
  const look = async () => {
    clearTimeout(timer);
    if (document.visibilityState !== "visible") return;
    try {
      const headers = { "x-sloe-again": "1" };
      if (etag) headers["if-none-match"] = etag;
      const answer = await fetch(location.href, { headers, cache: "no-store", redirect: "error" });
      if (answer.status === 401) {
        link.textContent = "You are signed out: what you see may be old.";
        return;
      }
      if (answer.status === 200) etag = put(await answer.text()) ? answer.headers.get("etag") : undefined;
      else if (answer.status !== 304) throw new Error(String(answer.status));
      const date = new Date(answer.headers.get("date") ?? Date.now());
      asOf.textContent = `${date.toISOString().slice(11, 19)} UTC`;
      link.textContent = "";
      wait = EVERY;
    } catch {
      link.textContent = "Sloe does not answer: what you see may be old.";
      wait = Math.min(wait * 2, 60000);
    }
    timer = setTimeout(look, wait);
  };
  document.addEventListener("visibilitychange", look);
  timer = setTimeout(look, EVERY);
})();
