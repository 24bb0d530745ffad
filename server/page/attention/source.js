/** @import { Model, Query, Tensor } from "../core/types.js" */
import { askArrays, questionPath } from "../core/api.js";
import { cellAt } from "../core/maps.js";

/**
 * What one query attends to, per layer: weights on the patches (heads × patches) and on the tokens before them (heads × prefix).
 * @typedef {{values: Float32Array, prefix: Float32Array}[]} Rows
 *
 * @typedef {object} Source Attention of one model on one image.
 * @property {Tensor|null} whole All matrices, where they came in one piece.
 * @property {number[]} read Share of each token in what the head reads; empty without `whole`.
 * @property {(query: Query) => Rows|Promise<Rows>} rows At once where all matrices are here.
 */

/** @param {Model} model @param {string} image @returns {Promise<Source>} */
export async function openAttention(model, image) {
  const attention = /** @type {NonNullable<Model["attention"]>} */ (model.attention);
  if (!attention.whole) return { whole: null, read: [], rows: (query) => askedRows(model, image, query) };
  const { arrays, meta } = await askArrays(questionPath(model.name, "attention", { image }));
  const whole = arrays.attention;
  const read = meta.read_out_weights;
  return { whole, read, rows: (query) => rowsOf(whole, attention.prefix, tokenShares(query, meta.grid ?? attention.grids[0], attention.prefix, read)) };
}

/**
 * The query as shares of the tokens.
 * @param {Query} query
 * @param {[number, number]} grid
 * @param {number} prefix
 * @param {number[]} read
 * @returns {ArrayLike<number>}
 */
export function tokenShares(query, grid, prefix, read) {
  if (!query) return read;
  const shares = new Float64Array(prefix + grid[0] * grid[1]);
  const [row, column] = cellAt(grid, ...query);
  shares[prefix + row * grid[1] + column] = 1;
  return shares;
}

/**
 * @param {Tensor} whole
 * @param {number} prefix
 * @param {ArrayLike<number>} shares
 * @returns {Rows}
 */
export function rowsOf({ data, shape }, prefix, shares) {
  const [layers, heads, tokens] = shape;
  const patches = tokens - prefix;
  const asking = [...Array(tokens).keys()].filter((token) => shares[token] > 0);
  return Array.from({ length: layers }, (_, layer) => {
    const values = new Float32Array(heads * patches);
    const before = new Float32Array(heads * prefix);
    for (let head = 0; head < heads; head++) {
      for (const query of asking) {
        const at = ((layer * heads + head) * tokens + query) * tokens;
        const share = shares[query];
        for (let key = 0; key < prefix; key++) before[head * prefix + key] += share * data[at + key];
        for (let key = 0; key < patches; key++) values[head * patches + key] += share * data[at + prefix + key];
      }
    }
    return { values, prefix: before };
  });
}

/** @param {Model} model @param {string} image @param {Query} query @returns {Promise<Rows>} */
async function askedRows(model, image, query) {
  const { arrays } = await askArrays(questionPath(model.name, "row", { image, query: query ? query.join(",") : "readout" }));
  const layers = model.attention?.layers ?? 0;
  return Array.from({ length: layers }, (_, layer) => ({
    values: /** @type {Float32Array} */ (arrays[`layer_${layer + 1}`].data),
    prefix: /** @type {Float32Array} */ (arrays[`prefix_${layer + 1}`]?.data ?? new Float32Array(0)),
  }));
}
