/** @import { Method, Model } from "../core/types.js" */
/** @import { Heat } from "../core/maps.js" */
import { askArrays, inputPath, questionPath } from "../core/api.js";
import { targetOf } from "../core/lab.js";
import { picture } from "../core/maps.js";
import { quantile, range } from "../core/numbers.js";
import { place } from "../core/state.js";

/**
 * @typedef {{heat: Heat, image: HTMLImageElement, meta: any}} Explained
 */

/** Every step of the way is one place: the model, the image and the class asked about. @param {Model} model */
export const asked = (model) => `${place.image} ${targetOf(model)}`;

/** @param {Model} model @param {Method} method @returns {Promise<Explained>} */
export async function explain(model, method) {
  const { image } = place;
  const path = questionPath(model.name, "explain", { image, method: method.id, target: targetOf(model) });
  const [shown, { arrays, meta }] = await Promise.all([picture(inputPath(image, model.name)), askArrays(path)]);
  const { data, shape } = arrays.map;
  return { heat: heatOf(method, data, shape), image: shown, meta };
}

/** Share of a map of pixels that keeps its own colours; single pixels beyond would darken all others. */
const CLIPPED = 0.99;

/** Signed maps have zero in the middle; others start at zero unless a value lies below. @param {Method} method @param {ArrayLike<number>} values @param {number[]} shape @returns {Heat} */
function heatOf(method, values, shape) {
  const [low, high] = range(values);
  const most = method.over === "pixels" ? quantile(values, CLIPPED) : Math.max(-low, high);
  const ends = method.signed ? [-most, most] : [Math.max(-most, Math.min(0, low)), Math.min(most, high)];
  return { values, rows: shape[0], columns: shape[1], low: ends[0], high: ends[1], colors: method.signed ? "signed" : "inferno" };
}

/** Mean size of a map's values: what they are measured in where maps of different models are compared. @param {Heat} heat */
export function meanSize({ values }) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.abs(values[i]);
  return sum / values.length || 1;
}

/** One scale, in units of each map's mean, for maps that are compared. @param {Heat[]} heats @returns {[number, number]} */
export const commonScale = (heats) => [Math.min(...heats.map((heat) => heat.low / meanSize(heat))), Math.max(...heats.map((heat) => heat.high / meanSize(heat)))];
