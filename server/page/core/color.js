/**
 * Colour maps that stay ordered for every kind of colour vision, and in grey.
 *
 * Viridis and inferno: S. van der Walt and N. Smith (2015), released as CC0; every eighth entry of the published tables of 256
 * with linear interpolation between, which is within 2 of 255 of the rest. Blue to red: ColorBrewer's RdBu of eleven classes
 * (C. Brewer and M. Harrower, 2002), reversed. The same anchors as in the crate `plot`.
 */
const ANCHORS = {
  viridis: "440154470d6048186a482374472d7b4536814240863f49893b528b375a8d33638d2f6a8e2c728e297a8e26818e23898e21908c1f988b1f9f8821a68528ae8031b57b3ebc744cc26c5dc9636ece5882d34c96d83fabdc32c0df24d5e21aeae51afde725",
  inferno: "0000040403120b0724150b37210c4a2e0a5a3c09654a0c6b57106d63146e70196e7d1e6d89226a962766a32b61af315cbb3755c63e4dd14644db4f3be35932eb6528f1711ef67f14f98d0afb9c06fcab0ffbba1ff9ca32f5d949f2e865f3f586fcffa4",
  signed: "0530612166ac4393c392c5ded1e5f0f7f7f7fddbc7f4a582d6604db2182b67001f",
};

/** @typedef {keyof typeof ANCHORS} Colors */

/** @type {Map<Colors, Uint8Array>} */
const tables = new Map();

/** @param {Colors} colors @returns {Uint8Array} 256 colours, three bytes each. */
export function table(colors) {
  let entries = tables.get(colors);
  if (entries) return entries;
  const text = ANCHORS[colors];
  const anchors = Array.from({ length: text.length / 6 }, (_, i) => [0, 2, 4].map((at) => parseInt(text.slice(6 * i + at, 6 * i + at + 2), 16)));
  entries = new Uint8Array(768);
  for (let i = 0; i < 256; i++) {
    const position = (i / 255) * (anchors.length - 1);
    const below = Math.min(Math.floor(position), anchors.length - 2);
    for (let c = 0; c < 3; c++) {
      const [low, high] = [anchors[below][c], anchors[below + 1][c]];
      entries[3 * i + c] = Math.round(low + (position - below) * (high - low));
    }
  }
  tables.set(colors, entries);
  return entries;
}

/** @param {Colors} colors @param {number} value From 0 to 1. @returns {string} */
export function css(colors, value) {
  const at = 3 * Math.round(255 * Math.min(1, Math.max(0, value)));
  const entries = table(colors);
  return `rgb(${entries[at]} ${entries[at + 1]} ${entries[at + 2]})`;
}

/** Lines and bars of models, in order: readable on light and dark paper, apart for every kind of colour vision (Okabe and Ito, 2008, darkened or lightened for contrast by the style sheet). */
export const SERIES = ["var(--series-1)", "var(--series-2)", "var(--series-3)", "var(--series-4)", "var(--series-5)"];
