// What must hold on every page, whatever it is about: answers every breach in
// one sentence. `arguments`: the rules' tags, the widest a page may be.
const [tags, width] = arguments;
const breaches = [];
const told = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 200);

const headings = document.querySelectorAll("h1");
if (headings.length !== 1) breaches.push(`${headings.length} h1`);
if (!document.documentElement.lang) breaches.push("no lang");

const wide = document.documentElement.scrollWidth;
if (wide > width) {
  const over = [...document.body.querySelectorAll("*")].filter((element) => element.getBoundingClientRect().right > width + 1);
  breaches.push(`${wide} px wide, for ${over.slice(0, 3).map(told).join(" ")}`);
}

// A target may be smaller only within a sentence (WCAG 2.5.8).
const inSentence = (element) => {
  const around = [...element.parentElement.childNodes].filter((node) => node !== element);
  return getComputedStyle(element).display === "inline" && around.some((node) => node.textContent.trim());
};
const operable = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
for (const target of document.querySelectorAll(operable)) {
  if (!target.checkVisibility({ checkVisibilityCSS: true }) || inSentence(target)) continue;
  // A label around a box belongs to what one may hit.
  const { width, height } = (target.closest("label") ?? target).getBoundingClientRect();
  if (width < 24 || height < 24) breaches.push(`a target of ${width} by ${height} px: ${told(target)}`);
}

// Text that doesn't fit into its box is lost, unless it is shortened on purpose.
for (const box of document.querySelectorAll("main *, header *, footer *")) {
  const style = getComputedStyle(box);
  const clips = [style.overflowX, style.overflowY].some((way) => way === "hidden" || way === "clip");
  if (!clips || style.position === "absolute" || style.webkitLineClamp !== "none" || box.closest("svg, input")) continue;
  if (box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1) breaches.push(`text is cut off in ${told(box)}`);
}

return (async () => {
  if (!tags) return breaches;
  const options = {
    runOnly: { type: "tag", values: tags },
    // Off by default in axe, though its tag is asked for.
    rules: { "target-size": { enabled: true }, "frame-tested": { enabled: false } },
    resultTypes: ["violations", "incomplete"],
    // A frame is a page of its own here, and looked at by itself.
    iframes: false,
  };
  // What sticks lies over what one scrolls past: axe can't see through it.
  const stuck = [...document.querySelectorAll("body *")].filter((element) => getComputedStyle(element).position === "sticky");
  for (const element of stuck) element.style.position = "static";
  const found = await axe.run(document, options);
  for (const element of stuck) element.style.position = "";
  const each = (word, { id, help, nodes }) => {
    for (const node of nodes) breaches.push(`${word} ${id} (${help}): ${node.target.join(" ")} ${node.html} ${node.failureSummary}`.replace(/\s+/g, " "));
  };
  found.violations.forEach((rule) => each("axe", rule));
  if (found.passes.length === 0) breaches.push("axe looked at nothing");
  // Axe can't see through what is painted behind the text of a header; that it
  // reads well there is measured by a test of its own. Neither does it know what
  // signs without letters mean: the buttons − and + have a name in words.
  const known = (rule, node) => {
    const element = document.querySelector(node.target[0]);
    if (rule.id === "color-contrast") return element.closest(".hero, .cover") || !/\p{L}|\d/u.test(element.value ?? element.textContent);
    return rule.id === "label-content-name-mismatch" && !/\p{L}/u.test(element.textContent);
  };
  for (const rule of found.incomplete) each("axe can't tell", { ...rule, nodes: rule.nodes.filter((node) => !known(rule, node)) });
  return breaches;
})();
