/**
 * What is switched off.
 * @typedef {{layer: number, part: "head"|"attention"|"mlp"|"layer"|"block", head?: number, by: "zero"|"mean"|{image: string}}} Off
 */

/** By model, by place; kept while views change. @type {Map<string, Map<string, Off>>} */
const switched = new Map();

/** @param {string} model */
export function offs(model) {
  let of = switched.get(model);
  if (!of) switched.set(model, (of = new Map()));
  return of;
}

/** What replaces a part that is switched off from now on. @type {{by: "zero"|"mean"|"image", image: string|null}} */
export const tool = { by: "zero", image: null };

/** @param {Omit<Off, "by">} part */
export const keyOf = ({ layer, part, head }) => `${layer} ${part} ${head ?? ""}`;
