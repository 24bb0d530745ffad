/** @import { Answer, Model } from "../core/types.js" */
import { inputPath } from "../core/api.js";
import { announce, fill, h, showError } from "../core/dom.js";
import { answerOf, attentive, focused, imageFacts, lab, targetOf } from "../core/lab.js";
import { cellAt, picture } from "../core/maps.js";
import { baseName, firstName, percent, sentenceCase } from "../core/numbers.js";
import { onPreview, setPreview, shownQuery } from "../core/preview.js";
import { SERIES } from "../core/color.js";
import { go, onChange, place } from "../core/state.js";
import { targetSearch } from "./target.js";

/** The picture as the model in focus takes it, and what each model says. @param {HTMLElement} root */
export function buildSpecimen(root) {
  const canvas = h("canvas", { width: 448, height: 448, tabindex: 0, "data-keys": true, role: "application" });
  const caption = h("figcaption");
  const answers = h("div", { class: "answers" });
  const blocks = lab.models.map((model, index) => answerBlock(model, SERIES[index % SERIES.length]));
  const search = targetSearch();
  fill(answers, blocks.map(({ element }) => element), search.element);
  fill(root, h("figure", {}, h("div", { class: "subject" }, canvas), caption), answers);

  const load = async () => {
    const { image } = place;
    showFacts(caption, image);
    for (const block of blocks) block.load(image);
    draw();
  };
  /** The newest drawing wins, since pictures arrive in any order. */
  let turn = 0;
  const draw = async () => {
    const mine = ++turn;
    const shown = await picture(inputPath(place.image, focused().name)).catch(() => null);
    if (mine === turn && shown) drawSubject(canvas, shown);
  };
  follow(canvas);
  onPreview(draw);
  onChange((changed) => {
    if (changed.has("image")) load();
    else if (changed.has("model") || changed.has("query") || changed.has("layer") || changed.has("view")) draw();
    if (changed.has("target") || changed.has("model")) for (const block of blocks) block.mark();
    search.mark();
  });
  load();
}

/** @param {HTMLElement} caption @param {string} image */
async function showFacts(caption, image) {
  try {
    const { name, label, width, height, hash } = await imageFacts(image);
    if (image !== place.image) return;
    fill(caption, label ? h("strong", {}, firstName(label), " ") : null, baseName(name), h("br"), h("span", { class: "number" }, `${width} × ${height}, ${hash.slice(0, 8)}`));
  } catch (error) {
    fill(caption, "");
    showError(caption, error);
    caption.append(h("button", { onclick: () => go({ image: lab.first }) }, "Back to the first image"));
  }
}

/** @returns {[number, number]|null} The patches of the layer in view. */
const grid = () => {
  const attention = attentive()?.attention;
  return attention ? attention.grids[Math.min(place.layer, attention.layers) - 1] : null;
};

/** @param {HTMLCanvasElement} canvas @param {HTMLImageElement} image */
function drawSubject(canvas, image) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const side = canvas.width;
  context.imageSmoothingEnabled = image.naturalWidth >= 100;
  context.drawImage(image, 0, 0, side, side);
  const cells = grid();
  const query = shownQuery();
  const readOut = attentive()?.attention?.read_out ?? "the read-out";
  canvas.setAttribute("aria-label", cells ? `The image. ${query ? whereIs(query, cells) : sentenceCase(readOut)} asks. Arrow keys choose a patch, Escape returns to ${readOut}.` : "The image as the model takes it.");
  if (!cells || !query) return;
  const [row, column] = cellAt(cells, ...query);
  const [height, width] = [side / cells[0], side / cells[1]];
  for (const [color, line] of /** @type {[string, number][]} */ ([["#000", 7], ["#fff", 3]])) {
    context.strokeStyle = color;
    context.lineWidth = line;
    context.strokeRect(column * width, row * height, width, height);
  }
}

/** @param {[number, number]} query @param {[number, number]} cells */
const whereIs = (query, cells) => {
  const [row, column] = cellAt(cells, ...query);
  return `Patch in row ${row + 1}, column ${column + 1}`;
};

/** Pointer and keys choose the patch that asks. @param {HTMLCanvasElement} canvas */
function follow(canvas) {
  const at = (/** @type {MouseEvent} */ event) => {
    const cells = grid();
    if (!cells) return null;
    const box = canvas.getBoundingClientRect();
    return middle(cellAt(cells, (event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width), cells);
  };
  canvas.addEventListener("pointermove", (event) => event.pointerType === "mouse" && setPreview({ query: at(event) }));
  canvas.addEventListener("pointerleave", () => setPreview({ query: undefined }));
  canvas.addEventListener("click", (event) => {
    const query = at(event);
    if (!query) return;
    setPreview({ query: undefined });
    go({ query: JSON.stringify(query) === JSON.stringify(place.query) ? null : query });
  });
  canvas.addEventListener("keydown", (event) => {
    const cells = grid();
    if (!cells || event.ctrlKey || event.metaKey || event.altKey) return;
    const move = /** @type {Record<string, [number, number]>} */ ({ ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] })[event.key];
    if (event.key === "Escape") go({ query: null });
    else if (move) {
      const [row, column] = place.query ? cellAt(cells, ...place.query) : [cells[0] >> 1, cells[1] >> 1];
      const next = /** @type {[number, number]} */ ([row + move[0], column + move[1]]);
      if (next[0] >= 0 && next[1] >= 0 && next[0] < cells[0] && next[1] < cells[1]) go({ query: middle(next, cells) });
      announce(place.query ? whereIs(place.query, cells) : "");
    } else return;
    event.preventDefault();
  });
}

/** @param {[number, number]} cell @param {[number, number]} cells @returns {[number, number]} */
const middle = ([row, column], cells) => [Number(((row + 0.5) / cells[0]).toFixed(4)), Number(((column + 0.5) / cells[1]).toFixed(4))];

/** @param {Model} model @param {string} color */
function answerBlock(model, color) {
  const list = h("ol", { class: "guesses", style: { "--bar": color }, "aria-label": `What ${model.title} says` });
  const focus = h("button", { title: model.describe, onclick: () => go({ model: model.name, target: null }) }, model.title);
  const element = h("section", { class: "answer", "data-model": model.name, "aria-label": `Answer of ${model.title}` }, h("h2", {}, focus), list);
  /** @type {Answer|null} */
  let answer = null;

  const mark = () => {
    focus.setAttribute("aria-pressed", String(model.name === place.model && lab.models.length > 1));
    const target = targetOf(model);
    for (const button of list.querySelectorAll("button")) button.setAttribute("aria-pressed", String(Number(button.dataset.class) === target));
  };
  const show = (/** @type {Answer} */ now) => {
    const rows = now.top.map(({ class: index, name, probability }) =>
      h("li", {}, h("button", {
        class: `guess${index === now.label ? " labelled" : ""}`, "data-class": index, style: { "--share": probability },
        title: `${name}: ask about this class`, onclick: () => choose(index),
      }, h("span", { class: "name" }, firstName(name)), h("span", { class: "number" }, percent(probability)))));
    fill(list, rows);
    mark();
  };
  const choose = (/** @type {number} */ index) => go({ model: model.name, target: place.model === model.name && place.target === index ? null : index });
  const load = async (/** @type {string} */ image) => {
    if (!model.classes.length) {
      fill(list, h("li", { class: "note" }, "This model has no head: it gives features, not answers."));
      return;
    }
    list.classList.add("busy");
    try {
      const now = await answerOf(model.name, image);
      if (image !== place.image) return;
      answer = now;
      show(answer);
      announce(lab.models.length > 1 ? `${model.title}: ${firstName(now.top[0].name)}, ${percent(now.top[0].probability)}` : `${firstName(now.top[0].name)}, ${percent(now.top[0].probability)}`);
    } catch (error) {
      if (image === place.image) showError(list, error);
    } finally {
      list.classList.remove("busy");
    }
  };
  mark();
  return { element, load, mark };
}
