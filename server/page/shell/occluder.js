import { imagePath } from "../core/api.js";
import { h, segments, slider } from "../core/dom.js";
import { imageFacts } from "../core/lab.js";
import { baseName } from "../core/numbers.js";
import { picture } from "../core/maps.js";
import { place } from "../core/state.js";
import { openDialog } from "./help.js";
import { takeImage, trouble } from "./intake.js";

/** @typedef {{x: number, y: number}} Point */

/** The longest side of a covered copy; models take far less. */
const LONGEST = 1024;

/** A dialog in which parts of the image are covered; the result is a new image. */
export async function openOccluder() {
  /** @type {HTMLImageElement} */
  let image;
  let name = place.image;
  try {
    image = await picture(imagePath(place.image));
    ({ name } = await imageFacts(place.image));
  } catch (error) {
    trouble(error instanceof Error ? error.message : String(error));
    return;
  }
  const scale = Math.min(1, LONGEST / Math.max(image.naturalWidth, image.naturalHeight));
  const [width, height] = [image.naturalWidth, image.naturalHeight].map((side) => Math.round(side * scale));
  const canvas = h("canvas", { width, height, tabindex: 0, "data-keys": true, role: "application", "aria-label": "Image to cover. Arrow keys move a square, plus and minus change its size, Enter covers what is under it." });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  /** @type {ImageData[]} */
  const before = [];
  let tool = /** @type {"rectangle"|"brush"} */ ("rectangle");
  let paint = /** @type {"grey"|"mean"|"black"} */ ("grey");
  let size = Math.round(Math.max(width, height) / 8);
  /** @type {Point|null} */
  let start = null;
  const cursor = { x: Math.round(width / 2), y: Math.round(height / 2), shown: false };

  context.drawImage(image, 0, 0, width, height);
  const mean = meanColor(context.getImageData(0, 0, width, height).data);
  const color = () => ({ grey: "rgb(128 128 128)", black: "black", mean })[paint];

  const keepState = () => before.push(context.getImageData(0, 0, width, height));
  const restore = () => context.putImageData(before[before.length - 1], 0, 0);
  const ready = () => (use.disabled = undo.disabled = !before.length);

  const point = (/** @type {PointerEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * width, y: ((event.clientY - box.top) / box.height) * height };
  };
  const brush = (/** @type {Point} */ from, /** @type {Point} */ to) => {
    context.strokeStyle = color();
    context.lineWidth = size / 2;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y + 0.01);
    context.stroke();
  };
  canvas.addEventListener("pointerdown", (event) => {
    hideCursor();
    canvas.setPointerCapture(event.pointerId);
    keepState();
    start = point(event);
    if (tool === "brush") brush(start, start);
    ready();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!start) return;
    const now = point(event);
    if (tool === "brush") {
      brush(start, now);
      start = now;
      return;
    }
    restore();
    context.fillStyle = color();
    context.fillRect(start.x, start.y, now.x - start.x, now.y - start.y);
  });
  canvas.addEventListener("pointerup", () => (start = null));

  // The keyboard's square is an outline on top, taken away before anything is kept.
  const hideCursor = () => {
    if (cursor.shown) restore(), before.pop();
    cursor.shown = false;
  };
  const showCursor = () => {
    keepState();
    context.strokeStyle = "white";
    context.lineWidth = 2;
    context.strokeRect(cursor.x - size / 2, cursor.y - size / 2, size, size);
    cursor.shown = true;
  };
  canvas.addEventListener("keydown", (event) => {
    const step = Math.max(4, Math.round(width / 40));
    /** @type {Record<string, () => void>} */
    const moves = {
      ArrowLeft: () => (cursor.x -= step), ArrowRight: () => (cursor.x += step), ArrowUp: () => (cursor.y -= step), ArrowDown: () => (cursor.y += step),
      "+": () => (size += step), "-": () => (size = Math.max(step, size - step)),
      Enter: () => {
        keepState();
        context.fillStyle = color();
        context.fillRect(cursor.x - size / 2, cursor.y - size / 2, size, size);
      },
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    hideCursor();
    move();
    ready();
    if (event.key !== "Enter") showCursor();
  });

  const undo = h("button", { disabled: true, onclick: () => (hideCursor(), before.length && (restore(), before.pop()), ready()) }, "Undo");
  const use = h("button", { class: "primary", disabled: true, onclick: () => {
    hideCursor();
    dialog.close();
    canvas.toBlob((blob) => blob && takeImage(`covered-${baseName(name).replace(/\.\w+$/, "").replaceAll("/", "-")}.png`, blob), "image/png");
  } }, "Examine this");
  const dialog = openDialog("Cover a part of the image",
    canvas,
    h("div", { class: "row" },
      segments("Tool", [["rectangle", "Rectangle"], ["brush", "Brush"]], tool, (value) => (tool = value)),
      segments("Colour", [["grey", "Grey"], ["mean", "Mean colour"], ["black", "Black"]], paint, (value) => (paint = value))),
    slider("Brush", { min: 8, max: Math.round(Math.max(width, height) / 2), step: 1, value: size, show: (value) => `${value / 2} px`, input: (value) => (size = value) }).element,
    h("div", { class: "row" }, use, undo, h("button", { onclick: () => dialog.close() }, "Cancel")));
  canvas.focus({ focusVisible: false });
}

/** @param {Uint8ClampedArray} pixels */
function meanColor(pixels) {
  const sums = [0, 0, 0];
  for (let i = 0; i < pixels.length; i += 4) for (let c = 0; c < 3; c++) sums[c] += pixels[i + c];
  return `rgb(${sums.map((sum) => Math.round((4 * sum) / pixels.length)).join(" ")})`;
}
