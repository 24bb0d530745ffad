/** @import { Query } from "./types.js" */
import { place } from "./state.js";

/**
 * What the pointer is over: shown as if it were chosen, until it leaves. `undefined` is nothing.
 * @type {{query: Query|undefined, head: {model: string, layer: number, head: number}|undefined}}
 */
const preview = { query: undefined, head: undefined };

/** @type {Set<() => void>} */
const listeners = new Set();
let due = 0;

/** @param {Partial<typeof preview>} to */
export function setPreview(to) {
  Object.assign(preview, to);
  // Pointers report more often than the screen is drawn.
  due ||= requestAnimationFrame(() => {
    due = 0;
    for (const listener of [...listeners]) listener();
  });
}

/** @param {() => void} listener @returns {() => void} Stops listening. */
export function onPreview(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** @returns {Query} The query that is shown now. */
export const shownQuery = () => (preview.query === undefined ? place.query : preview.query);

/** @param {string} model @returns {{layer: number, head: number}} The head that is shown now. */
export const shownHead = (model) => (preview.head?.model === model ? preview.head : { layer: place.layer, head: place.head });

/** @returns {boolean} */
export const previewing = () => preview.query !== undefined || preview.head !== undefined;
