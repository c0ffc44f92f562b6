// The public site's script. Everything works without it; it adds exact
// numbers, a countdown, the visitor's own time zone and a little comfort.
(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);

  // An answer with faults: focus goes to their summary, so that a screen
  // reader begins there. Most browsers did it by the page's own autofocus.
  const faults = one("#faults");
  if (faults) addEventListener("load", () => document.activeElement === faults || faults.focus());

  // The visitor's own time, where it differs from the event's.
  for (const place of all("[data-local]")) {
    const at = new Date(place.dataset.local);
    const short = "short" in place.dataset;
    const own = at.toLocaleString("en", { weekday: short ? undefined : "short", month: short ? undefined : "short", day: short ? undefined : "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    const shown = place.parentElement.textContent.match(/\d\d:\d\d/);
    if (Number.isNaN(at.getTime()) || (shown && own.endsWith(shown[0]))) continue;
    place.textContent = `${own} your time`;
    place.hidden = false;
  }

  // Steppers: minus and plus around the number.
  for (const box of all("[data-stepper]")) {
    const input = one("input", box);
    const label = one(`label[for="${input.id}"]`)?.textContent.trim() ?? "";
    const button = (text, sign, step) => {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = sign;
      made.setAttribute("aria-label", `${text} ${label}`);
      made.addEventListener("click", () => {
        input.value = Math.min(Number(input.max), Math.max(0, (Number(input.value) || 0) + step));
        input.dispatchEvent(new Event("change", { bubbles: true }));
      });
      return made;
    };
    const less = button("One less:", "−", -1);
    const more = button("One more:", "+", 1);
    // A disabled button would lose the focus, hence aria-disabled.
    const limits = () => {
      less.setAttribute("aria-disabled", String(Number(input.value) <= 0));
      more.setAttribute("aria-disabled", String(Number(input.value) >= Number(input.max)));
    };
    box.prepend(less);
    box.append(more);
    input.addEventListener("change", limits);
    limits();
  }

  // Sessions at the same time: a hint, no refusal.
  const overlaps = () => {
    for (const hint of all("[data-overlap]")) {
      const scope = hint.closest("fieldset") ?? hint.closest("form");
      const chosen = all("[data-span]:checked", scope).map((box) => {
        const [start, end] = box.dataset.span.split(" ").map(Number);
        return { start, end, name: one(`label[for="${box.id}"]`)?.textContent.trim() };
      }).sort((a, b) => a.start - b.start);
      const clash = chosen.flatMap((a, i) => chosen.slice(i + 1).filter((b) => b.start < a.end).map((b) => [a, b]))[0];
      hint.textContent = clash ? `“${clash[0].name}” and “${clash[1].name}” overlap. Keep both only if you mean to change rooms in between.` : "";
    }
  };
  if (one("[data-overlap]")) {
    document.addEventListener("change", overlaps);
    overlaps();
  }

  // What is left, exactly, while somebody is looking, and the seats that this
  // visitor holds, so that nobody is told "sold out" because of their own.
  const main = one("main[data-availability]");
  if (main) {
    let timer;
    let wait = 5000;
    const show = (key, left) => {
      const place = one(`[data-left="${CSS.escape(key)}"]`);
      if (!place || left === null || left === undefined) return;
      const text = left > 0 ? `${left.toLocaleString("en")} left` : "Sold out";
      if (place.textContent !== text) place.textContent = text;
      place.classList.toggle("is-out", left <= 0);
      place.classList.toggle("is-few", left > 0 && left <= 10);
      place.classList.toggle("is-ok", left > 10);
      const box = one(key.startsWith("session-") ? `#${CSS.escape(key)}` : `#${CSS.escape(key.replace("item-", "qty-"))}`);
      // What is already chosen stays.
      if (box?.type === "checkbox" && !box.checked) box.disabled = left <= 0;
    };
    let said = "";
    const showOwn = (hold) => {
      // What is true for everybody else is not said to whoever holds the last seats.
      for (const part of all("[data-unless-held]")) part.hidden = Boolean(hold);
      const saying = hold ? `You are holding ${hold.places === 1 ? "one seat" : `${hold.places} seats`} until ${hold.until}. ` : "";
      // A screen reader is told of changes only.
      if (saying === said) return;
      said = saying;
      const text = document.createElement("p");
      text.className = "notice is-good";
      text.append(saying, Object.assign(document.createElement("a"), { href: hold?.url ?? "", textContent: "Continue your registration" }));
      one("[data-own]").replaceChildren(...(hold ? [text] : []));
    };
    const ask = async (address) => {
      const answer = await fetch(address, { headers: { accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      return answer.status === 200 ? answer.json() : null;
    };
    const look = async () => {
      clearTimeout(timer);
      if (document.visibilityState !== "visible") return;
      try {
        const form = one("form.choose");
        const holding = document.cookie.includes("sloe_holding=") || form?.elements.hold;
        const hold = holding ? await ask(main.dataset.mine) : null;
        showOwn(hold);
        if (!one("[data-left]")) return;
        const now = form && hold || await ask(main.dataset.availability);
        for (const item of now.items) show(`item-${item.id}`, item.left);
        for (const session of now.sessions) show(`session-${session.id}`, session.left);
        wait = 5000;
      } catch {
        wait = Math.min(wait * 2, 120000);
      }
      timer = setTimeout(look, wait * (0.8 + Math.random() * 0.4));
    };
    document.addEventListener("visibilitychange", look);
    // Back brings the page from memory.
    addEventListener("pageshow", (event) => event.persisted && look());
    look();
  }

  // The countdown: seen every second, said at 5, 2 and 1 minutes only, and
  // taken back soon after, as it would be wrong then.
  const countdown = one("[data-countdown]");
  if (countdown) {
    const end = Date.now() + Number(countdown.dataset.countdown) * 1000;
    const clock = one("[data-clock]", countdown);
    const announce = one("[data-announce]", countdown);
    const held = one("[data-held]", countdown);
    let before = Infinity;
    let said = 0;
    const tick = () => {
      const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
      clock.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
      countdown.classList.toggle("is-short", left > 0 && left <= 60);
      for (const minutes of [5, 2, 1]) {
        if (before > minutes * 60 && left <= minutes * 60 && before !== Infinity) {
          announce.textContent = minutes === 1 ? "Your seats are held for one more minute." : `Your seats are held for ${minutes} more minutes.`;
          said = left;
        }
      }
      if (said - left >= 15) announce.textContent = "";
      before = left;
      if (left > 0) return setTimeout(tick, (end - Date.now()) % 1000 || 1000);
      countdown.classList.remove("is-short");
      countdown.classList.add("is-over");
      clock.hidden = true;
      held.textContent = "The time is over. Confirm anyway: you get your seats if nobody took them.";
    };
    if (end > Date.now()) {
      clock.hidden = false;
      tick();
    }
  }

  // One press is enough. The server would recognize a second one anyway.
  for (const form of all("form[data-once]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) return event.preventDefault();
      form.dataset.sent = "1";
      one("[type=submit]", form)?.setAttribute("aria-disabled", "true");
    });
  }
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of all("form[data-sent]")) {
      delete form.dataset.sent;
      one("[type=submit]", form)?.removeAttribute("aria-disabled");
    }
  });

  // "We are checking": asks again by itself, with the same key.
  for (const form of all("form[data-again]")) setTimeout(() => form.requestSubmit(), Number(form.dataset.again) * 1000);

  // Order page: print, copy the link.
  for (const button of all("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }
  for (const input of all("[data-copy]")) {
    input.addEventListener("focus", () => input.select());
    if (!navigator.clipboard) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button soft";
    button.textContent = "Copy link";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(input.value);
      button.textContent = "Copied";
    });
    input.after(button);
  }

  // The bar at the foot of a phone is not needed beside the form itself.
  const jump = one(".jump");
  const register = one("#register");
  if (jump && register && "IntersectionObserver" in window) {
    new IntersectionObserver(([entry]) => { jump.hidden = entry.isIntersecting; }).observe(register);
  }
})();
