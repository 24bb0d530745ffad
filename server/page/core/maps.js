/** @import { Colors } from "./color.js" */
import { LabError } from "./api.js";
import { table } from "./color.js";

/**
 * A heatmap.
 * @typedef {object} Heat
 * @property {ArrayLike<number>} values
 * @property {number} rows
 * @property {number} columns
 * @property {number} low Value of the first colour.
 * @property {number} high Value of the last.
 * @property {Colors} colors
 */

/** How a heatmap is laid over its picture. @typedef {"heat"|"over"|"light"} Manner */

/** @type {Map<string, Promise<HTMLImageElement>>} */
const pictures = new Map();

/** @param {string} path @returns {Promise<HTMLImageElement>} The decoded picture at `path`. */
export function picture(path) {
  let loading = pictures.get(path);
  if (!loading) {
    const image = new Image();
    loading = new Promise((resolve, reject) => {
      image.onload = () => resolve(image);
      image.onerror = () => reject(new LabError("The picture could not be loaded. Choose the image again."));
    });
    image.src = path;
    loading.catch(() => pictures.delete(path));
    pictures.set(path, loading);
    if (pictures.size > 64) pictures.delete(/** @type {string} */ (pictures.keys().next().value));
  }
  return loading;
}

/**
 * Colours `heat`, one pixel per value.
 * @param {HTMLCanvasElement|OffscreenCanvas} canvas
 * @param {Heat} heat
 */
export function paint(canvas, { values, rows, columns, low, high, colors }) {
  if (canvas.width !== columns) canvas.width = columns;
  if (canvas.height !== rows) canvas.height = rows;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const pixels = context.createImageData(columns, rows);
  const entries = table(colors);
  const scale = high > low ? 255 / (high - low) : 0;
  for (let i = 0; i < rows * columns; i++) {
    const at = 3 * Math.max(0, Math.min(255, Math.round(scale * (values[i] - low))));
    pixels.data[4 * i] = entries[at];
    pixels.data[4 * i + 1] = entries[at + 1];
    pixels.data[4 * i + 2] = entries[at + 2];
    pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
}

/** @type {HTMLCanvasElement|null} */
let stencil = null;

/**
 * Draws `heat` over `image` on the whole of `canvas`. Patches stay squares: nothing is smoothed.
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLImageElement|null} image
 * @param {Heat|null} heat
 * @param {Manner} manner
 */
export function drawOver(canvas, image, heat, manner) {
  const side = Math.round(Math.max(224, canvas.clientWidth * Math.min(2, devicePixelRatio)));
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.globalAlpha = 1;
  context.globalCompositeOperation = "source-over";
  context.imageSmoothingEnabled = !image || image.naturalWidth >= side / 4;
  if (image) context.drawImage(image, 0, 0, side, side);
  if (!heat) return;
  stencil ??= document.createElement("canvas");
  paint(stencil, heat);
  context.imageSmoothingEnabled = false;
  if (manner === "light") {
    shade(context, heat, side);
    return;
  }
  if (manner === "over" && image && heat.colors === "signed") {
    veil(context, heat, side);
    return;
  }
  if (manner === "over" && image) {
    grey(context, side);
    context.globalAlpha = 0.68;
  }
  context.drawImage(stencil, 0, 0, side, side);
  context.globalAlpha = 1;
}

/** Grey below, so that the picture's own colours are not read as values. @param {CanvasRenderingContext2D} context @param {number} side */
function grey(context, side) {
  context.globalCompositeOperation = "saturation";
  context.fillStyle = "hsl(0 0% 50%)";
  context.fillRect(0, 0, side, side);
  context.globalCompositeOperation = "source-over";
}

/** A signed map is see-through at zero, where its colour would be white. @param {CanvasRenderingContext2D} context @param {Heat} heat @param {number} side */
function veil(context, { values, low, high }, side) {
  grey(context, side);
  const canvas = /** @type {HTMLCanvasElement} */ (stencil);
  const inner = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const pixels = inner.getImageData(0, 0, canvas.width, canvas.height);
  const most = Math.max(-low, high) || 1;
  for (let i = 0; i < values.length; i++) pixels.data[4 * i + 3] = 255 * Math.min(1, 0.1 + 1.3 * Math.sqrt(Math.abs(values[i]) / most));
  inner.putImageData(pixels, 0, 0);
  context.drawImage(canvas, 0, 0, side, side);
}

/**
 * Leaves the picture bright where the value is high and darkens the rest.
 * @param {CanvasRenderingContext2D} context
 * @param {Heat} heat
 * @param {number} side
 */
function shade(context, { values, rows, columns, low, high, colors }, side) {
  const dark = document.createElement("canvas");
  dark.width = columns;
  dark.height = rows;
  const inner = /** @type {CanvasRenderingContext2D} */ (dark.getContext("2d"));
  const pixels = inner.createImageData(columns, rows);
  const middle = colors === "signed" ? (low + high) / 2 : low;
  for (let i = 0; i < rows * columns; i++) {
    const share = high > middle ? Math.max(0, Math.min(1, (values[i] - middle) / (high - middle))) : 0;
    pixels.data[4 * i + 3] = Math.round(235 * (1 - share));
  }
  inner.putImageData(pixels, 0, 0);
  context.drawImage(dark, 0, 0, side, side);
}

/**
 * @param {Heat} heat
 * @param {number} y Share of the height.
 * @param {number} x Share of the width.
 */
export function valueAt({ values, rows, columns }, y, x) {
  const [row, column] = cellAt([rows, columns], y, x);
  return { row, column, value: values[row * columns + column] };
}

/** @param {[number, number]} grid @param {number} y @param {number} x @returns {[number, number]} Row and column, from 0. */
export const cellAt = ([rows, columns], y, x) => [Math.max(0, Math.min(rows - 1, Math.floor(y * rows))), Math.max(0, Math.min(columns - 1, Math.floor(x * columns)))];

/** @param {Heat} heat @returns {{row: number, column: number, value: number}} Where it is highest, from 0. */
export function peak({ values, columns, rows }) {
  let best = 0;
  for (let i = 1; i < rows * columns; i++) if (values[i] > values[best]) best = i;
  return { row: Math.floor(best / columns), column: best % columns, value: values[best] };
}
