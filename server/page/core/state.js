/** @import { Query } from "./types.js" */

/**
 * The place on the page, which the address says too.
 * @typedef {object} Place
 * @property {string} image
 * @property {string} model The model that keys and single-model views are about.
 * @property {string} view
 * @property {number} layer
 * @property {number} head
 * @property {Query} query
 * @property {string[]} method Explanations that are shown; none: the first few.
 * @property {number|null} target Output of `model`; `null` is what each model predicts.
 */

/** @type {Place} */
export const place = { image: "", model: "", view: "attention", layer: 1, head: 1, query: null, method: [], target: null };

/** A new entry in the browser's history is made for these only. */
const JOURNEYS = new Set(["image", "view"]);

/** @type {Set<(changed: Set<string>) => void>} */
const listeners = new Set();

/** @param {(changed: Set<string>) => void} listener @returns {() => void} Stops listening. */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** @param {Partial<Place>} to */
export function go(to) {
  const changed = new Set(Object.keys(to).filter((key) => !same(to[/** @type {keyof Place} */ (key)], place[/** @type {keyof Place} */ (key)])));
  if (!changed.size) return;
  Object.assign(place, to);
  const address = `#${fragment()}`;
  if ([...changed].some((key) => JOURNEYS.has(key))) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  for (const listener of [...listeners]) listener(changed);
}

/** @param {unknown} a @param {unknown} b */
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** @returns {string} */
export function fragment() {
  const parts = [["image", place.image], ["model", place.model], ["view", place.view], ["layer", place.layer], ["head", place.head]];
  if (place.query) parts.push(["query", place.query.map((share) => Number(share.toFixed(4))).join(",")]);
  if (place.method.length) parts.push(["method", place.method.join(",")]);
  if (place.target !== null) parts.push(["target", place.target]);
  return parts.filter(([, value]) => value !== "").map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll("%2C", ",")}`).join("&");
}

/** @param {string} text @returns {Partial<Place>} What the fragment `text` says; unknown keys and broken values are ignored. */
export function parse(text) {
  const given = new URLSearchParams(text.replace(/^#/, ""));
  /** @type {Partial<Place>} */
  const to = { query: null, method: [], target: null };
  for (const key of /** @type {const} */ (["image", "model", "view"])) {
    const value = given.get(key);
    if (value) to[key] = value;
  }
  for (const key of /** @type {const} */ (["layer", "head"])) {
    const number = Number(given.get(key));
    if (Number.isInteger(number) && number > 0) to[key] = number;
  }
  const query = given.get("query")?.split(",").map(Number);
  if (query?.length === 2 && query.every((share) => share >= 0 && share < 1)) to.query = [query[0], query[1]];
  to.method = given.get("method")?.split(",").filter(Boolean) ?? [];
  const target = given.get("target");
  if (target !== null && /^\d+$/.test(target)) to.target = Number(target);
  return to;
}

/**
 * Follows the address: back, forward, a link. `check` replaces what does not exist here.
 * @param {(to: Partial<Place>) => Partial<Place>} check
 */
export function followAddress(check) {
  const follow = () => {
    const to = check(parse(location.hash));
    const changed = new Set(Object.keys(to).filter((key) => !same(to[/** @type {keyof Place} */ (key)], place[/** @type {keyof Place} */ (key)])));
    Object.assign(place, to);
    if (changed.size) for (const listener of [...listeners]) listener(changed);
  };
  addEventListener("popstate", follow);
  addEventListener("hashchange", follow);
}
