// Where the focus is, and whether one can see it; called at every stop. A stop
// looks the same with and without the focus only if nothing shows the focus.
const here = document.activeElement;
const look = (element) => {
  const around = [element, element.parentElement, element.closest(".session, .card")].filter(Boolean);
  return JSON.stringify(around.flatMap((each) => ["", "::before", "::after"].map((part) => {
    const { outlineStyle, outlineWidth, boxShadow, backgroundColor, borderColor } = getComputedStyle(each, part || null);
    return [outlineStyle === "none" ? "" : outlineWidth, boxShadow, backgroundColor, borderColor];
  })));
};
const told = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 160);
const faults = [];

const left = window.lastStop;
if (left && left.element !== here && left.element.isConnected && look(left.element) === left.look) {
  faults.push(`nothing shows the focus on ${told(left.element)}`);
}
if (!here || here === document.body || here === document.documentElement) {
  window.lastStop = undefined;
  return { at: null, faults };
}
window.lastStop = { element: here, look: look(here) };

const box = here.getBoundingClientRect();
if (box.bottom > innerHeight + 1 && box.height < innerHeight || box.top < -1 || box.width === 0) faults.push(`the focus is out of sight on ${told(here)}`);
// What lies over it: a bar that sticks, for instance.
const [x, y] = [box.left + box.width / 2, Math.min(box.top + box.height / 2, innerHeight - 1)];
const over = document.elementFromPoint(x, y);
const own = over && (here.contains(over) || over.contains(here) || over.control === here);
if (!own) faults.push(`${told(here)} lies under ${over && told(over)}`);

const order = window.stopIds ??= new WeakMap();
if (!order.has(here)) order.set(here, window.stopCount = (window.stopCount ?? 0) + 1);
return {
  at: order.get(here), faults, told: told(here),
  box: [box.left + scrollX, box.top + scrollY, box.right + scrollX, box.bottom + scrollY],
  skip: here.classList.contains("skip"),
};
