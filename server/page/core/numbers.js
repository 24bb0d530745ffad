/** @param {number} share @returns {string} `87 %`, `3.4 %`, `0.02 %`. */
export function percent(share) {
  const value = 100 * share;
  if (!Number.isFinite(value)) return "–";
  if (value >= 99.95) return "100 %";
  if (value >= 9.95) return `${value.toFixed(0)} %`;
  if (value >= 0.095) return `${value.toFixed(1)} %`;
  return value === 0 ? "0 %" : value < 0.005 ? "< 0.01 %" : `${value.toFixed(2)} %`;
}

/** @param {number} value @returns {string} Three significant digits. */
export function short(value) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 0.001 && size < 10000) return minus(String(Number(value.toPrecision(3))));
  const [digits, power] = value.toExponential(1).split("e");
  return minus(`${digits}·10${superscript(Number(power))}`);
}

/** @param {string} text */
const minus = (text) => text.replace("-", "−");

/** @param {number} power */
const superscript = (power) => [...String(power)].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(c)])).join("");

/** @param {number} count @returns {string} `5.7 M`. */
export function millions(count) {
  if (count >= 1e6) return `${(count / 1e6).toFixed(count >= 1e8 ? 0 : 1)} M`;
  return count >= 1e3 ? `${(count / 1e3).toFixed(0)} k` : String(count);
}

/** @param {ArrayLike<number>} values @returns {[number, number]} Lowest and highest. */
export function range(values) {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < values.length; i++) {
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  return [low, high];
}

/** @param {string} text @returns {string} The first name of a class with several: `tench, Tinca tinca` → `tench`. */
export const firstName = (text) => text.split(",")[0];

/** @param {string} text */
export const sentenceCase = (text) => text.charAt(0).toUpperCase() + text.slice(1);

const SHORT = 20;

/** @param {string} path @returns {string} The last part of a path that is long; a short name stays whole. */
export const baseName = (path) => (path.length <= SHORT ? path : path.split(/[/\\]/).pop() ?? path);

/** The value below which the size of `share` of all values lies; the largest where that is zero. @param {ArrayLike<number>} values @param {number} share */
export function quantile(values, share) {
  const sizes = Float32Array.from(values, Math.abs).sort();
  return sizes[Math.floor(share * (sizes.length - 1))] || sizes[sizes.length - 1];
}
