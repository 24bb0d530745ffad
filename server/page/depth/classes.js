/** Paul Tol's "bright" colours (2018): apart for every kind of colour vision. The target has the first. */
const BRIGHT = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377"];

/**
 * Colours for the target and the classes that are most often the most probable one.
 * @param {ArrayLike<number>} kinds
 * @param {number} target
 * @returns {Map<number, string>}
 */
export function classColors(kinds, target) {
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (let i = 0; i < kinds.length; i++) counts.set(kinds[i], (counts.get(kinds[i]) ?? 0) + 1);
  counts.delete(target);
  const common = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, BRIGHT.length - 1).map(([index]) => index);
  return new Map([target, ...common].map((index, i) => [index, BRIGHT[i]]));
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLImageElement} image
 * @param {ArrayLike<number>} kinds
 * @param {number} rows
 * @param {number} columns
 * @param {Map<number, string>} colors
 */
export function paintClasses(canvas, image, kinds, rows, columns, colors) {
  const side = Math.round(Math.max(224, canvas.clientWidth * Math.min(2, devicePixelRatio)));
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.globalAlpha = 1;
  context.imageSmoothingEnabled = image.naturalWidth >= side / 4;
  context.drawImage(image, 0, 0, side, side);
  context.globalAlpha = 0.72;
  const [height, width] = [side / rows, side / columns];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      context.fillStyle = colors.get(kinds[row * columns + column]) ?? "#808080";
      context.fillRect(column * width, row * height, width + 0.5, height + 0.5);
    }
  }
  context.globalAlpha = 1;
}
