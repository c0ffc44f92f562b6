// The texts in headers, each line with its color, its box in the page, and the
// contrast it needs (WCAG 1.4.3); makes them invisible.
const texts = [];
const drawn = (color) => color.match(/[\d.]+/g).slice(0, 3).map(Number);
for (const part of document.querySelectorAll(".hero, .cover")) {
  const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.textContent.trim()) continue;
    const style = getComputedStyle(node.parentElement);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const { left, top, width, height } of range.getClientRects()) {
      // A line's box is higher than its letters.
      const inset = Math.max(0, (height - size) / 2 + 1);
      texts.push({ words: node.textContent.trim(), color: drawn(style.color), needs: large ? 3 : 4.5, box: [left + scrollX, top + scrollY + inset, width, height - 2 * inset] });
    }
  }
}
for (const part of document.querySelectorAll(".hero, .cover, .hero *, .cover *")) {
  part.style.setProperty("color", "transparent", "important");
  part.style.setProperty("text-decoration", "none", "important");
}
return texts;
