/** @import { Model } from "../core/types.js" */
/** @import { Fusion } from "../core/rollout.js" */
/** @import { Heat, Manner } from "../core/maps.js" */
/** @import { Source } from "./source.js" */
import { askArrays, questionPath } from "../core/api.js";
import { fill, h, segments, showError, slider } from "../core/dom.js";
import { drawOver, valueAt } from "../core/maps.js";
import { percent, range } from "../core/numbers.js";
import { shownQuery } from "../core/preview.js";
import { fuse, rollout } from "../core/rollout.js";
import { place } from "../core/state.js";
import { colorBar } from "../charts/colorbar.js";
import { markQuery } from "./overlay.js";
import { tokenShares } from "./source.js";

/** Kept while the views change. @type {{fusion: Fusion, discard: number, start: number}} */
const chosen = { fusion: "mean", discard: 0, start: 1 };

/** Attention multiplied through all layers: computed here while a slider moves, by the server when it rests. @param {Model} model */
export function rolloutPanel(model) {
  const attention = /** @type {NonNullable<Model["attention"]>} */ (model.attention);
  const canvas = h("canvas", { role: "img", "aria-label": "Not computed yet", class: "map", "data-figure": "Attention rollout" });
  const bar = colorBar("inferno");
  const said = h("p", { class: "small number reading" });
  chosen.start = Math.min(chosen.start, attention.layers);

  /** @type {Source|null} */
  let source = null;
  /** @type {{of: Source|null, fusion: Fusion, matrices: Float32Array}|null} */
  let fused = null;
  /** @type {HTMLImageElement|null} */
  let image = null;
  /** @type {Manner} */
  let manner = "over";
  /** @type {Heat|null} */
  let heat = null;
  let turn = 0;

  /** @param {Float32Array} values @param {string} by */
  const show = (values, by) => {
    const grid = attention.grids[0];
    heat = { values, rows: grid[0], columns: grid[1], low: 0, high: range(values)[1], colors: "inferno" };
    drawOver(canvas, image, heat, manner);
    markQuery(canvas, grid);
    bar.set("0", percent(heat.high), "share");
    const sum = values.reduce((total, value) => total + value, 0);
    fill(said, `${percent(sum)} comes from patches. ${by}`);
    canvas.setAttribute("aria-label", `Attention rollout: ${percent(sum)} comes from patches, at most ${percent(heat.high)} from one.`);
    canvas.dataset.figure = `Attention rollout, heads' ${chosen.fusion}, ${percent(chosen.discard)} discarded, from layer ${chosen.start}`;
    canvas.dataset.by = by;
  };
  /** @returns {Float32Array|null} */
  const own = () => {
    if (!source?.whole) return null;
    if (fused?.of !== source || fused.fusion !== chosen.fusion) fused = { of: source, fusion: chosen.fusion, matrices: fuse(source.whole, chosen.fusion) };
    const tokens = source.whole.shape[2];
    return rollout(fused.matrices, tokens, attention.prefix, tokenShares(shownQuery(), attention.grids[0], attention.prefix, source.read), chosen.discard, chosen.start);
  };
  const quick = () => {
    turn++;
    const values = own();
    if (values) show(values, "Computed in this page from half-precision weights.");
  };
  const exact = async () => {
    const mine = ++turn;
    const query = place.query ? place.query.join(",") : "readout";
    try {
      const { arrays } = await askArrays(questionPath(model.name, "rollout", { image: place.image, fusion: chosen.fusion, discard: chosen.discard, start: chosen.start, query }));
      if (mine === turn) show(/** @type {Float32Array} */ (arrays.map.data), "Exact.");
    } catch (error) {
      if (mine === turn) showError(said, error);
    }
  };
  let [asking, again] = [false, false];
  /** A slider moves: without the weights the server is asked, one question at a time. */
  const follow = async () => {
    if (source?.whole) return quick();
    again = true;
    if (asking) return;
    asking = true;
    while (again) {
      again = false;
      await exact();
    }
    asking = false;
  };
  canvas.addEventListener("pointermove", (event) => {
    if (!heat) return;
    const box = canvas.getBoundingClientRect();
    const { row, column, value } = valueAt(heat, (event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width);
    fill(said, `row ${row + 1}, column ${column + 1}: ${percent(value)}`);
  });

  const moved = { input: follow, change: exact };
  const discard = slider("Discard", { min: 0, max: 0.95, step: 0.05, value: chosen.discard, show: percent, input: (value) => ((chosen.discard = value), moved.input()), change: exact });
  const start = slider("From layer", { min: 1, max: attention.layers, step: 1, value: chosen.start, show: String, input: (value) => ((chosen.start = value), moved.input()), change: exact });
  const fusion = segments("How heads become one", [["mean", "Mean"], ["max", "Max"], ["min", "Min"]], chosen.fusion, (value) => {
    chosen.fusion = value;
    quick();
    exact();
  });
  const element = h("section", { class: "rollout", "aria-label": `Rollout of ${model.title}` },
    h("div", { class: "row heading" }, h("h3", {}, "Rollout")),
    h("div", { class: "pair" },
      h("div", {}, canvas, bar.element, said),
      h("div", { class: "facts" },
        h("p", { class: "small" }, "All layers multiplied, half of each for the residual path."),
        h("div", { class: "field" }, "Heads fused by their", fusion),
        discard.element, start.element,
        h("p", { class: "note" }, "Discard sets the smallest weights of each row to zero."))));

  return {
    element,
    /** @param {Source} now @param {HTMLImageElement|null} picture @param {Manner} how */
    open: (now, picture, how) => {
      [source, image, manner] = [now, picture, how];
      if (source.whole) quick();
      exact();
    },
    /** @param {Manner} how @param {boolean} settled */
    redraw: (how, settled) => {
      manner = how;
      if (source?.whole) quick();
      if (settled) exact();
    },
  };
}
