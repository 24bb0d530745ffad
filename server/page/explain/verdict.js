/** @import { Verdict } from "../core/types.js" */
import { h } from "../core/dom.js";
import { short } from "../core/numbers.js";

/** @type {Record<string, [string, string]>} Words and their class. */
const WORDS = { yes: ["yes", "yes"], no: ["no", "no"] };

/** @param {string} answer */
function word(answer) {
  const [text, kind] = WORDS[answer] ?? ["cannot be told", "unsure"];
  return h("span", { class: kind }, text);
}

/** What a study found about a method on this model. @param {Verdict} verdict */
export function studyVerdict({ score, low, high, n, metric, higher_is_better, over_random, over_centre, source }) {
  return h("div", { class: "verdict" },
    h("p", {}, "Better than random: ", word(over_random)),
    h("p", {}, "Better than the centre: ", word(over_centre)),
    h("p", { class: "note number" }, `${metric} ${higher_is_better ? "↑" : "↓"} ${short(score)} [${short(low)}, ${short(high)}], ${n} images; ${source}`));
}

/** @typedef {{id: string, title: string, higher_is_better: boolean, value: number, random: number, centre: number}} Metric */

/** @param {Metric[]} metrics @param {"random"|"centre"} other @returns {string} `yes`, `no`, or `cannot be told` where the metrics disagree. */
export function better(metrics, other) {
  const wins = metrics.map((metric) => (metric.higher_is_better ? metric.value > metric[other] : metric.value < metric[other]));
  if (!wins.length || (wins.some(Boolean) && !wins.every(Boolean))) return "cannot be told";
  return wins[0] ? "yes" : "no";
}

/** What was measured on the one image. @param {{metrics: Metric[], sentence: string}} measured */
export function imageVerdict({ metrics, sentence }) {
  const row = (/** @type {Metric} */ { title, higher_is_better, value, random, centre }) =>
    h("tr", {}, h("th", { scope: "row" }, `${title} ${higher_is_better ? "↑" : "↓"}`), [value, random, centre].map((number) => h("td", {}, short(number))));
  return h("div", { class: "verdict" },
    h("p", {}, "On this image, better than random: ", word(better(metrics, "random"))),
    h("table", { class: "measured" },
      h("thead", {}, h("tr", {}, h("td"), ["method", "random", "centre"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, metrics.map(row))),
    h("p", { class: "note" }, sentence));
}
