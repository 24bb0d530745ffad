import { LabError } from "./api.js";

/** @typedef {Node|string|number|null|undefined|false} Child */

/**
 * An element. `on…` are listeners, `style` is an object (custom properties too), everything else attributes;
 * `true` gives an empty attribute, `false` and `null` none.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Child|Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  assign(element, attributes);
  append(element, children);
  return element;
}

/**
 * An SVG element, as `h`.
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Child|Child[])} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  assign(element, attributes);
  append(element, children);
  return element;
}

/** @param {HTMLElement|SVGElement} element @param {Record<string, any>} attributes */
function assign(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, part] of Object.entries(value)) element.style.setProperty(key, String(part));
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** @param {Element} element @param {(Child|Child[])[]} children */
function append(element, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** @param {Element} element @param {...(Child|Child[])} children */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/**
 * An error in place of what could not be shown.
 * @param {Element} place
 * @param {unknown} error
 */
export function showError(place, error) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  if (!(error instanceof Error)) throw error;
  if (!(error instanceof LabError)) console.error(error);
  fill(place, h("p", { class: "sorry", role: "alert" }, error.message));
}

/**
 * Buttons of which one is chosen.
 * @template {string} T
 * @param {string} label
 * @param {[T, string][]} options Values and what they are called.
 * @param {T} chosen
 * @param {(value: T) => void} choose
 */
export function segments(label, options, chosen, choose) {
  const group = h("div", { class: "segments", role: "radiogroup", "aria-label": label });
  const name = `segments-${++counter}`;
  for (const [value, text] of options) {
    const input = h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => choose(value) });
    group.append(h("label", {}, input, h("span", {}, text)));
  }
  return group;
}

let counter = 0;
/** @param {string} stem @returns {string} An id that nothing else on the page has. */
export const freshId = (stem) => `${stem}-${++counter}`;

/**
 * A labelled slider that shows its value.
 * @param {string} label
 * @param {{min: number, max: number, step: number, value: number, show: (value: number) => string, input: (value: number) => void, change?: (value: number) => void}} options
 */
export function slider(label, { min, max, step, value, show, input, change }) {
  const output = h("output", {}, show(value));
  const range = h("input", { type: "range", min, max, step, value, "aria-label": label, "aria-valuetext": show(value) });
  range.addEventListener("input", () => {
    const now = Number(range.value);
    output.textContent = show(now);
    range.setAttribute("aria-valuetext", show(now));
    input(now);
  });
  if (change) range.addEventListener("change", () => change(Number(range.value)));
  const set = (/** @type {number} */ now) => {
    range.value = String(now);
    output.textContent = show(now);
    range.setAttribute("aria-valuetext", show(now));
  };
  const element = h("label", { class: "slider" }, h("span", {}, label), range, output);
  return { element, range, set };
}

/** @param {string} message What a screen reader should say now. */
export function announce(message) {
  const place = document.getElementById("said");
  if (place && place.textContent !== message) place.textContent = message;
}
