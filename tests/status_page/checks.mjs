// What has to be true of the page, whatever it shows.

/** The texts that stand out too little from what is behind them: WCAG's 4.5 to 1. */
export const faint = `(() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = channels(colour).slice(0, 3).map((it) => {
      const part = it / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let it = element; it; it = it.parentElement) {
      const colour = getComputedStyle(it).backgroundColor;
      if ((channels(colour)[3] ?? 1) > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("svg, script, style, noscript")) continue;
    if (!element.checkVisibility()) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(ratio.toFixed(2) + ": " + walker.currentNode.data.trim());
  }
  return found;
})()`;

/** What reaches beyond its place to the right, and would lie on its neighbour. */
export const overflow = `[document.documentElement, ...document.querySelectorAll("main *, header *")]
  .filter((it) => it.scrollWidth > it.clientWidth && it.clientWidth > 0)
  .filter((it) => getComputedStyle(it).overflowX === "visible")
  .map((it) => it.className + ": " + it.textContent.trim().slice(0, 40))`;

/** Pictures and controls that a screen reader has no name for. */
export async function nameless(browser) {
  const { nodes } = await browser.send("Accessibility.getFullAXTree");
  const need = ["image", "link", "button", "region", "DisclosureTriangle"];
  return nodes
    .filter((node) => !node.ignored && need.includes(node.role?.value) && !node.name?.value)
    .map((node) => node.role.value);
}
