import { attentive, lab } from "../core/lab.js";
import { go, place } from "../core/state.js";
import { saveFigure } from "./figure.js";
import { showHelp } from "./help.js";
import { stepImage } from "./strip.js";
import { toggleTheme } from "./theme.js";
import { VIEWS } from "./views.js";

/** Keys that work everywhere, for the help and the listener: keys, what they do. @type {[string, string, string[]][]} */
export const KEYS = [
  ["← →", "layer before, layer after", ["ArrowLeft", "ArrowRight"]],
  ["↑ ↓ or k j", "head before, head after", ["ArrowUp", "ArrowDown", "k", "j"]],
  ["1 … 6", "view", []],
  ["[ ]", "image before, image after", ["[", "]"]],
  ["m", "next model in focus", ["m"]],
  ["Esc", "ask from the read-out again", ["Escape"]],
  ["s", "save the figure", ["s"]],
  ["t", "light or dark", ["t"]],
  ["?", "this help", ["?"]],
];

/** Views in which arrow keys change layer and head; in the others they scroll. */
const LAYERED = new Set(["attention", "depth", "space"]);
const HEADED = new Set(["attention", "space"]);

/** Whether a control uses the key itself. @param {EventTarget|null} target @param {string} key */
function takesKey(target, key) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.matches("input[type=radio], input[type=checkbox], input[type=range]")) return key.startsWith("Arrow");
  return target.matches("input, select, textarea, [data-keys]") || target.closest("dialog, .walk") !== null;
}

export function listenToKeys() {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || takesKey(event.target, event.key)) return;
    if (!act(event.key)) return;
    event.preventDefault();
  });
}

/** @param {string} key @returns {boolean} Whether the key means something. */
function act(key) {
  const view = VIEWS[Number(key) - 1];
  if (/^[1-9]$/.test(key) && view) go({ view: view.id });
  else if (key === "ArrowLeft" && LAYERED.has(place.view)) stepLayer(-1);
  else if (key === "ArrowRight" && LAYERED.has(place.view)) stepLayer(1);
  else if (key === "k" || (key === "ArrowUp" && HEADED.has(place.view))) stepHead(-1);
  else if (key === "j" || (key === "ArrowDown" && HEADED.has(place.view))) stepHead(1);
  else if (key === "[") stepImage(-1);
  else if (key === "]") stepImage(1);
  else if (key === "m") stepModel();
  else if (key === "Escape") go({ query: null });
  else if (key === "s") saveFigure();
  else if (key === "t") toggleTheme();
  else if (key === "?") showHelp();
  else return false;
  return true;
}

/** @param {number} by */
export function stepLayer(by) {
  const attention = attentive()?.attention;
  if (!attention) return;
  const layer = Math.max(1, Math.min(attention.layers, place.layer + by));
  go({ layer, head: Math.min(place.head, attention.heads[layer - 1]) });
}

/** Goes on in the next layer after the last head. @param {number} by */
export function stepHead(by) {
  const attention = attentive()?.attention;
  if (!attention) return;
  let { layer, head } = place;
  head += by;
  if (head < 1 && layer > 1) head = attention.heads[--layer - 1];
  else if (head > attention.heads[layer - 1] && layer < attention.layers) [layer, head] = [layer + 1, 1];
  go({ layer, head: Math.max(1, Math.min(attention.heads[layer - 1], head)) });
}

function stepModel() {
  const at = lab.models.findIndex(({ name }) => name === place.model);
  go({ model: lab.models[(at + 1) % lab.models.length].name, target: null });
}
