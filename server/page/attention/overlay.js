/** @import { Heads, Model } from "../core/types.js" */
/** @import { Heat, Manner } from "../core/maps.js" */
/** @import { Rows } from "./source.js" */
/** @import { Scale } from "./grid.js" */
import { fill, h } from "../core/dom.js";
import { evenDistance } from "../core/lab.js";
import { cellAt, drawOver, peak, valueAt } from "../core/maps.js";
import { percent, short } from "../core/numbers.js";
import { setPreview, shownHead, shownQuery } from "../core/preview.js";
import { go, place } from "../core/state.js";
import { stepHead, stepLayer } from "../shell/keys.js";
import { colorBar } from "../charts/colorbar.js";
import { highest } from "./grid.js";

/** One head in full size over the picture, with its numbers and what the atlas calls it. @param {Model} model */
export function headOverlay(model) {
  const attention = /** @type {NonNullable<Model["attention"]>} */ (model.attention);
  const canvas = h("canvas", { role: "img", "aria-label": "Not computed yet", class: "map", "data-figure": "" });
  const title = h("h3");
  const bar = colorBar("inferno");
  const under = h("p", { class: "small number reading", "aria-hidden": "true" });
  const facts = h("div", { class: "facts" });
  const step = (/** @type {string} */ label, /** @type {string} */ sign, /** @type {() => void} */ act) => h("button", { class: "plain", "aria-label": label, title: label, onclick: () => (go({ model: model.name }), act()) }, sign);
  const element = h("section", { class: "overlay", "aria-label": `One head of ${model.title}` },
    h("div", { class: "row heading" }, title, h("span", { class: "steps" },
      step("Layer before", "←", () => stepLayer(-1)), step("Layer after", "→", () => stepLayer(1)), step("Head before", "↑", () => stepHead(-1)), step("Head after", "↓", () => stepHead(1)))),
    h("div", { class: "pair" }, h("div", {}, canvas, bar.element, under), facts));

  /** @type {Heat|null} */
  let heat = null;
  const rest = () => (under.textContent = "Point at the map to read its values; click to ask from there.");
  rest();
  canvas.addEventListener("pointermove", (event) => {
    if (!heat) return;
    const box = canvas.getBoundingClientRect();
    const { row, column, value } = valueAt(heat, (event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width);
    under.textContent = `row ${row + 1}, column ${column + 1}: ${percent(value)} of the weight`;
  });
  canvas.addEventListener("pointerleave", rest);
  canvas.addEventListener("click", (event) => {
    const cells = attention.grids[shownHead(model.name).layer - 1];
    const box = canvas.getBoundingClientRect();
    const [row, column] = cellAt(cells, (event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width);
    setPreview({ query: undefined });
    go({ query: [Number(((row + 0.5) / cells[0]).toFixed(4)), Number(((column + 0.5) / cells[1]).toFixed(4))] });
  });

  /**
   * @param {HTMLImageElement|null} image
   * @param {Rows} rows
   * @param {Heads|null} numbers
   * @param {Manner} manner
   * @param {Scale} scale
   */
  const draw = (image, rows, numbers, manner, scale) => {
    const chosen = shownHead(model.name);
    const layer = Math.min(chosen.layer, attention.layers);
    const head = Math.min(chosen.head, attention.heads[layer - 1]);
    const [height, width] = attention.grids[layer - 1];
    const row = rows[layer - 1];
    const values = row.values.subarray((head - 1) * height * width, head * height * width);
    const high = highest(values, rows, scale);
    heat = { values, rows: height, columns: width, low: 0, high, colors: "inferno" };
    drawOver(canvas, image, heat, manner);
    markQuery(canvas, attention.grids[layer - 1]);
    fill(title, `Layer ${layer}, head ${head}`);
    bar.set("0", `${scale === "clipped" ? "≥ " : ""}${percent(high)}`, "share of the weight");
    const best = peak(heat);
    const beyond = attention.prefix ? row.prefix.subarray((head - 1) * attention.prefix, head * attention.prefix).reduce((sum, weight) => sum + weight, 0) : null;
    const words = `Most on row ${best.row + 1}, column ${best.column + 1}: ${percent(best.value)}${beyond === null ? "" : `; ${percent(beyond)} on ${prefixName(attention.prefix, attention.read_out)}`}.`;
    canvas.setAttribute("aria-label", `Attention of layer ${layer}, head ${head}. ${words}`);
    canvas.dataset.figure = `Layer ${layer}, head ${head}, from ${shownQuery() ? "the marked patch" : attention.read_out}`;
    showFacts(facts, model, layer, head, numbers, words);
  };
  return { element, draw };
}

/** @param {number} prefix @param {string} readOut */
const prefixName = (prefix, readOut) => (prefix === 1 && /class token/.test(readOut) ? "the class token" : prefix === 1 ? "the token before the patches" : `the ${prefix} tokens before the patches`);

/** @param {HTMLCanvasElement} canvas @param {[number, number]} grid */
export function markQuery(canvas, grid) {
  const query = shownQuery();
  if (!query) return;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const [row, column] = cellAt(grid, ...query);
  const [height, width] = [canvas.height / grid[0], canvas.width / grid[1]];
  for (const [color, line] of /** @type {[string, number][]} */ ([["#000", 5], ["#fff", 2]])) {
    context.strokeStyle = color;
    context.lineWidth = (line * canvas.width) / Math.max(1, canvas.clientWidth);
    context.strokeRect(column * width, row * height, width, height);
  }
}

/**
 * @param {HTMLElement} root
 * @param {Model} model
 * @param {number} layer
 * @param {number} head
 * @param {Heads|null} heads
 * @param {string} words
 */
function showFacts(root, model, layer, head, heads, words) {
  const readOut = model.attention?.read_out ?? "the read-out";
  const role = model.atlas?.[layer - 1]?.[head - 1];
  const numbers = heads?.layers[layer - 1]?.heads[head - 1];
  const item = (/** @type {string} */ term, /** @type {string} */ value, /** @type {string} */ hint) => [h("dt", { title: hint }, term), h("dd", { class: "number" }, value)];
  fill(root,
    h("p", { class: "asking" }, "From ", h("strong", {}, place.query || shownQuery() ? "the marked patch" : readOut)),
    h("p", { class: "small" }, words),
    role ? h("p", { class: "role" }, h("strong", {}, role.label), h("span", { class: "small quiet" }, [role.confirmed === false ? "not confirmed on the other half of the images" : "", role.detail ?? ""].filter(Boolean).join("; "))) : null,
    numbers ? h("dl", { class: "numbers" },
      item("Entropy", `${numbers.entropy.toFixed(2)} of 1`, "Mean over queries, as a share of what even attention has"),
      item("Distance", `${short(numbers.distance)} px`, `Mean distance between a patch and what it reads; even attention has ${short(evenDistance(heads, layer) ?? NaN)} px`),
      item("Sparsity", numbers.sparsity.toFixed(2), "Hoyer's measure: 0 where all weights are alike, 1 where one key has all"),
      model.attention?.prefix ? item("On prefix tokens", percent(numbers.prefix_mass), "Mean weight that patches give to tokens without a place") : null) : null,
    numbers ? h("p", { class: "note" }, "Over all queries of this image.") : null);
}
