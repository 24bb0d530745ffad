/** @typedef {{title: string, width: number, height: number, draw: (x: number, y: number) => string}} Panel */

const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "paint-order", "font-size", "font-family", "text-anchor"];
export const FONT = "'DejaVu Sans', Verdana, Arial, sans-serif";

/** @param {string} text */
export const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/** What a view shows, in reading order: each element that names itself in `data-figure`. @param {Element} root @returns {Panel[]} */
export function panelsOf(root) {
  return [...root.querySelectorAll("[data-figure]")].flatMap((element) => {
    const box = element.getBoundingClientRect();
    if (!(element instanceof HTMLElement || element instanceof SVGElement) || box.width < 8 || box.height < 8) return [];
    return [{ title: element.dataset.figure ?? "", width: box.width, height: box.height, draw: (/** @type {number} */ x, /** @type {number} */ y) => partsOf(element).map((part) => place(part, box, x, y)).join("") }];
  });
}

/** @param {Element} element */
const partsOf = (element) => (element.matches("canvas, svg") ? [element] : [...element.querySelectorAll("canvas, svg, .layer")]);

/** @param {Element} part @param {DOMRect} box @param {number} x @param {number} y @returns {string} */
function place(part, box, x, y) {
  const own = part.getBoundingClientRect();
  const [left, top] = [x + own.left - box.left, y + own.top - box.top];
  if (part instanceof HTMLCanvasElement) {
    const coarse = part.width < own.width ? ' style="image-rendering:pixelated"' : "";
    return `<image x="${left}" y="${top}" width="${own.width}" height="${own.height}" preserveAspectRatio="none"${coarse} href="${part.toDataURL()}"/>`;
  }
  if (part instanceof SVGSVGElement) {
    const copy = /** @type {SVGSVGElement} */ (part.cloneNode(true));
    const [from, to] = [part.querySelectorAll("*"), copy.querySelectorAll("*")];
    from.forEach((node, i) => {
      const style = getComputedStyle(node);
      to[i].removeAttribute("style");
      to[i].removeAttribute("class");
      for (const name of STYLES) if (style.getPropertyValue(name)) to[i].setAttribute(name, style.getPropertyValue(name));
    });
    for (const name of ["class", "role", "aria-label", "data-figure"]) copy.removeAttribute(name);
    for (const [name, value] of Object.entries({ x: left, y: top, width: own.width, height: own.height, overflow: "visible" })) copy.setAttribute(name, String(value));
    return new XMLSerializer().serializeToString(copy);
  }
  const style = getComputedStyle(part);
  return `<text x="${left + own.width / 2}" y="${top + own.height / 2 + 4}" text-anchor="middle" font-family="${FONT}" font-size="11" fill="${style.color}">${escape(part.textContent ?? "")}</text>`;
}

/** Breaks `text` into lines of about `width` pixels at `size`. @param {string} text @param {number} width @param {number} size */
function lines(text, width, size) {
  const most = Math.max(12, Math.floor(width / (0.56 * size)));
  /** @type {string[]} */
  const out = [];
  for (const word of text.split(" ")) {
    const last = out[out.length - 1];
    if (last !== undefined && `${last} ${word}`.length <= most) out[out.length - 1] = `${last} ${word}`;
    else out.push(word);
  }
  return out;
}

const WIDTH = 1080;
const MARGIN = 24;
const GAP = 24;

/**
 * One SVG of all panels, with a caption below.
 * @param {Panel[]} panels
 * @param {string[]} caption
 * @param {{paper: string, ink: string, quiet: string}} colors
 * @returns {{svg: string, width: number, height: number}}
 */
export function compose(panels, caption, { paper, ink, quiet }) {
  const parts = [];
  const text = (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ line, /** @type {number} */ size, /** @type {string} */ color) =>
    parts.push(`<text x="${x}" y="${y}" font-family="${FONT}" font-size="${size}" fill="${color}">${escape(line)}</text>`);
  let [x, y, rowHeight] = [MARGIN, MARGIN, 0];
  for (const panel of panels) {
    const scale = Math.min(1, (WIDTH - 2 * MARGIN) / panel.width);
    const [width, height] = [panel.width * scale, panel.height * scale];
    if (x > MARGIN && x + width > WIDTH - MARGIN) [x, y, rowHeight] = [MARGIN, y + rowHeight + GAP, 0];
    parts.push(`<g transform="translate(${x} ${y}) scale(${scale})">${panel.draw(0, 0)}</g>`);
    const title = lines(panel.title, width, 12);
    title.forEach((line, i) => text(x, y + height + 17 + 15 * i, line, 12, ink));
    rowHeight = Math.max(rowHeight, height + 6 + 15 * title.length);
    x += width + GAP;
  }
  y += rowHeight + GAP + 8;
  for (const paragraph of caption) for (const line of lines(paragraph, WIDTH - 2 * MARGIN, 11)) text(MARGIN, (y += 15), line, 11, quiet);
  const height = Math.ceil(y + MARGIN);
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"><rect width="100%" height="100%" fill="${paper}"/>${parts.join("")}</svg>`;
  return { svg, width: WIDTH, height };
}
