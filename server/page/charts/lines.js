import { fill, h, s } from "../core/dom.js";

/**
 * @typedef {{name: string, color: string, dashed?: boolean, points: [number, number][], dots?: boolean}} Series
 *
 * @typedef {object} Lines
 * @property {Series[]} series
 * @property {[number, number]} x
 * @property {[number, number]} y
 * @property {string} xLabel
 * @property {(value: number) => string} show How a value reads.
 * @property {number|null} [cursor] Where on x the reader is.
 * @property {[number, string][]} [marks] Levels across the whole width, with a name.
 */

const MARGIN = { top: 10, right: 12, bottom: 32, left: 46 };

/**
 * A line chart with its legend; the legend reads the values at the cursor. `pick` is told where the reader points or clicks on x.
 * @param {string} title
 * @param {{height?: number, pick?: (x: number) => void, hover?: boolean}} [options]
 */
export function lineChart(title, { height = 190, pick, hover = false } = {}) {
  const drawing = s("svg", { role: "img", class: "lines", height, "data-figure": title });
  const legend = h("ul", { class: "legend" });
  const element = h("figure", { class: "chart" }, h("h3", {}, title), drawing, legend);
  /** @type {Lines|null} */
  let data = null;
  let width = 0;

  const scales = () => {
    const { x, y } = /** @type {Lines} */ (data);
    const [w, t] = [Math.max(10, width - MARGIN.left - MARGIN.right), height - MARGIN.top - MARGIN.bottom];
    return {
      px: (/** @type {number} */ value) => MARGIN.left + ((value - x[0]) / (x[1] - x[0] || 1)) * w,
      py: (/** @type {number} */ value) => MARGIN.top + (1 - (value - y[0]) / (y[1] - y[0] || 1)) * t,
      back: (/** @type {number} */ at) => x[0] + ((at - MARGIN.left) / w) * (x[1] - x[0]),
    };
  };
  const draw = () => {
    if (!data || !width) return;
    const { series, x, y, xLabel, show, cursor, marks = [] } = data;
    const { px, py } = scales();
    drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    drawing.setAttribute("width", String(width));
    const ground = height - MARGIN.bottom;
    const rules = ticks(y, 4).map((value) => s("g", {},
      s("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: py(value), y2: py(value) }),
      s("text", { class: "tick", x: MARGIN.left - 6, y: py(value) + 4, "text-anchor": "end" }, show(value))));
    const numbers = ticks(x, Math.max(2, Math.floor(width / 36))).filter(Number.isInteger).map((value) => s("text", { class: "tick", x: px(value), y: ground + 15, "text-anchor": "middle" }, value));
    const label = s("text", { class: "tick", x: width - MARGIN.right, y: height - 2, "text-anchor": "end" }, xLabel);
    const levels = marks.map(([value, name]) => s("g", {},
      s("line", { class: "mark-line", x1: MARGIN.left, x2: width - MARGIN.right, y1: py(value), y2: py(value) }),
      s("text", { class: "tick mark", x: MARGIN.left + 4, y: py(value) - 4 }, name)));
    const paths = series.map((line) => line.dots
      ? s("g", { style: { fill: line.color } }, line.points.map(([a, b]) => s("circle", { cx: px(a), cy: py(b), r: 2.6, "fill-opacity": 0.55 })))
      : s("path", { class: `line${line.dashed ? " dashed" : ""}`, style: { stroke: line.color }, d: line.points.map(([a, b], i) => `${i ? "L" : "M"}${px(a).toFixed(1)} ${py(b).toFixed(1)}`).join("") }));
    const here = cursor === null || cursor === undefined ? [] : [s("line", { class: "cursor", x1: px(cursor), x2: px(cursor), y1: MARGIN.top, y2: ground }),
      ...series.filter((line) => !line.dots).map((line) => {
        const value = valueAt(line, cursor);
        return value === null ? null : s("circle", { cx: px(cursor), cy: py(value), r: 3.5, style: { fill: line.color } });
      })];
    drawing.replaceChildren(...rules, ...numbers, label, ...levels, ...paths, ...here.filter((node) => node !== null));
    drawing.dataset.figure = `${title}: ${series.map((line) => `${line.name}${line.dashed ? " (dashed)" : line.dots ? " (dots)" : ""}`).join(", ")}`;
    drawing.setAttribute("aria-label", `${title}. ${series.filter((line) => !line.dots && line.points.length).map((line) => `${line.name}: from ${show(line.points[0][1])} to ${show(line.points[line.points.length - 1][1])}`).join("; ")}.`);
    fill(legend, series.map((line) => {
      const value = line.dots ? null : valueAt(line, cursor ?? line.points[line.points.length - 1]?.[0] ?? 0);
      return h("li", {}, h("span", { class: `swatch${line.dashed ? " dashed" : line.dots ? " dots" : ""}`, style: { "--color": line.color } }), line.name, value === null ? null : h("span", { class: "number quiet" }, ` ${show(value)}`));
    }));
  };
  const point = (/** @type {PointerEvent} */ event) => {
    if (!data || !pick) return;
    const box = drawing.getBoundingClientRect();
    pick(Math.round(Math.max(data.x[0], Math.min(data.x[1], scales().back(event.clientX - box.left)))));
  };
  if (pick) {
    drawing.classList.add("picks");
    drawing.addEventListener("pointerdown", (event) => (drawing.setPointerCapture(event.pointerId), point(event)));
    drawing.addEventListener("pointermove", (event) => (hover || event.buttons) && point(event));
  }
  new ResizeObserver(() => {
    const now = Math.round(element.clientWidth);
    if (now === width) return;
    width = now;
    draw();
  }).observe(element);
  return {
    element,
    /** @param {Lines} now */
    set: (now) => {
      data = now;
      draw();
    },
  };
}

/** @param {Series} line @param {number} x */
function valueAt({ points }, x) {
  let best = null;
  for (const [at, value] of points) if (at <= x) best = value;
  return best;
}

/** Round numbers in a range. @param {[number, number]} range @param {number} count */
export function ticks([low, high], count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const values = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) values.push(Number(value.toPrecision(10)));
  return values;
}
