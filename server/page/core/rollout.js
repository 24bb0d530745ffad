/** @import { Tensor } from "./types.js" */

/** @typedef {"mean"|"max"|"min"} Fusion */

/**
 * One matrix per layer: the heads fused, (layers, tokens, tokens).
 * @param {Tensor} attention (layers, heads, tokens, tokens)
 * @param {Fusion} fusion
 */
export function fuse({ data, shape }, fusion) {
  const [layers, heads, tokens] = shape;
  const size = tokens * tokens;
  const fused = new Float32Array(layers * size);
  for (let layer = 0; layer < layers; layer++) {
    const out = fused.subarray(layer * size, (layer + 1) * size);
    for (let head = 0; head < heads; head++) {
      const at = (layer * heads + head) * size;
      if (head === 0) for (let i = 0; i < size; i++) out[i] = data[at + i];
      else if (fusion === "mean") for (let i = 0; i < size; i++) out[i] += data[at + i];
      else if (fusion === "max") for (let i = 0; i < size; i++) out[i] = Math.max(out[i], data[at + i]);
      else for (let i = 0; i < size; i++) out[i] = Math.min(out[i], data[at + i]);
    }
    if (fusion === "mean") for (let i = 0; i < size; i++) out[i] /= heads;
  }
  return fused;
}

/**
 * Attention rollout (Abnar and Zuidema, 2020): the shares `read` of the tokens that are read, times `(A + I) / 2` of each layer from
 * the last to layer `start`, rows normalised after the smallest entries are discarded.
 * @param {Float32Array} fused (layers, tokens, tokens)
 * @param {number} tokens
 * @param {number} prefix
 * @param {ArrayLike<number>} read Share of each token in what is read.
 * @param {number} discard Share of each row's entries that are set to zero, in [0, 1).
 * @param {number} start First layer that counts, from 1.
 * @returns {Float32Array} What reaches the read tokens from each patch.
 */
export function rollout(fused, tokens, prefix, read, discard, start) {
  const layers = fused.length / (tokens * tokens);
  const gone = Math.floor(discard * tokens);
  const entries = new Float32Array(tokens);
  let row = Float64Array.from(read);
  for (let layer = layers - 1; layer >= start - 1; layer--) {
    const next = new Float64Array(tokens);
    for (let query = 0; query < tokens; query++) {
      const share = row[query];
      if (share === 0) continue;
      const at = (layer * tokens + query) * tokens;
      entries.set(fused.subarray(at, at + tokens));
      if (gone > 0) discardSmallest(entries, gone);
      let sum = 1;
      for (let key = 0; key < tokens; key++) sum += entries[key];
      const scale = share / sum;
      for (let key = 0; key < tokens; key++) next[key] += scale * entries[key];
      next[query] += scale;
    }
    row = next;
  }
  return Float32Array.from(row.subarray(prefix));
}

/** @type {Float32Array} */
let scratch = new Float32Array(0);

/**
 * Sets the `count` smallest entries to zero; among equal ones the earlier go first.
 * @param {Float32Array} entries
 * @param {number} count
 */
function discardSmallest(entries, count) {
  if (scratch.length !== entries.length) scratch = new Float32Array(entries.length);
  scratch.set(entries);
  const limit = smallest(scratch, count - 1);
  let below = 0;
  for (let i = 0; i < entries.length; i++) if (entries[i] < limit) below++;
  let equal = count - below;
  for (let i = 0; i < entries.length; i++) {
    if (entries[i] < limit) entries[i] = 0;
    else if (entries[i] === limit && equal > 0) {
      entries[i] = 0;
      equal--;
    }
  }
}

/** The entry of rank `rank` (from 0), by Hoare's selection; reorders `values`. @param {Float32Array} values @param {number} rank */
function smallest(values, rank) {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const pivot = values[(low + high) >> 1];
    let i = low;
    let j = high;
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (values[j] > pivot) j--;
      if (i <= j) {
        const swap = values[i];
        values[i++] = values[j];
        values[j--] = swap;
      }
    }
    if (rank <= j) high = j;
    else if (rank >= i) low = i;
    else break;
  }
  return values[rank];
}
