/** @import { Answer, Guess, Model } from "../core/types.js" */
import { fill, h } from "../core/dom.js";
import { lab } from "../core/lab.js";
import { drawOver } from "../core/maps.js";
import { firstName, percent, range } from "../core/numbers.js";
import { SERIES } from "../core/color.js";
import { colorBar } from "../charts/colorbar.js";
import { settings } from "../attention/settings.js";

/** @typedef {{top: Guess[], probabilities: number[]}} Said */

const ROWS = 6;

/** Answers before and after, as paired bars, and the map before and after. @param {Model} model */
export function interventionResult(model) {
  const sentence = h("p", { class: "sentence", "aria-live": "polite" });
  const bars = h("ol", { class: "pairs", style: { "--bar": SERIES[lab.models.indexOf(model) % SERIES.length] } });
  const before = h("canvas", { class: "map", role: "img", "aria-label": "Not computed yet", "data-figure": "Rollout, everything on" });
  const after = h("canvas", { class: "map", role: "img", "aria-label": "Not computed yet", "data-figure": "Rollout, after switching" });
  const bar = colorBar("inferno");
  const maps = h("div", { hidden: true }, h("h3", {}, "Attention rollout"),
    h("div", { class: "maps2" }, h("figure", {}, before, h("figcaption", {}, "everything on")), h("figure", {}, after, h("figcaption", {}, "after switching"))), bar.element);
  const note = h("p", { class: "note" });
  const element = h("div", { class: "intervention" }, h("div", {}, sentence, bars, note), maps);

  /** @param {Said} was @param {Said|null} is */
  const showBars = (was, is) => {
    const classes = [...new Set([...was.top, ...(is?.top ?? [])].map((guess) => guess.class))]
      .sort((a, b) => Math.max(was.probabilities[b], is?.probabilities[b] ?? 0) - Math.max(was.probabilities[a], is?.probabilities[a] ?? 0)).slice(0, ROWS);
    fill(bars, classes.map((index) => {
      const [from, to] = [was.probabilities[index], is?.probabilities[index] ?? null];
      return h("li", {},
        h("span", { class: "name", title: model.classes[index] }, firstName(model.classes[index] ?? `output ${index}`)),
        h("span", { class: "bars" }, h("span", { class: to === null ? "" : "was", style: { "--share": from } }), to === null ? null : h("span", { style: { "--share": to } })),
        h("span", { class: "number" }, to === null ? percent(from) : `${percent(from)} → ${percent(to)}`));
    }));
  };
  return {
    element,
    /** Nothing is switched. @param {Answer} answer */
    plain: (answer) => {
      fill(sentence, "Everything is on.");
      fill(note, "Switch a part off, or drag over several: the answer follows.");
      showBars(answer, null);
    },
    /** @param {Said} was @param {Said} is @param {string} means */
    answers: (was, is, means) => {
      const [first, now] = [was.top[0], is.top[0]];
      fill(sentence, first.class === now.class
        ? `Still ${firstName(first.name)}: ${percent(first.probability)} → ${percent(now.probability)}.`
        : `${firstName(first.name)} falls to ${percent(is.probabilities[first.class])}; the answer is now ${firstName(now.name)} (${percent(now.probability)}).`);
      fill(note, "Outlined: everything on. Filled: after switching.", means ? ` x̄ is the ${means}.` : "");
      showBars(was, is);
    },
    /** @param {HTMLImageElement} image @param {{data: ArrayLike<number>, shape: number[]}|undefined} was @param {{data: ArrayLike<number>, shape: number[]}|undefined} is */
    maps: (image, was, is) => {
      maps.hidden = !was || !is;
      if (!was || !is) return;
      const high = Math.max(range(was.data)[1], range(is.data)[1]);
      for (const [canvas, map, name] of /** @type {const} */ ([[before, was, "everything on"], [after, is, "after switching"]])) {
        drawOver(canvas, image, { values: map.data, rows: map.shape[0], columns: map.shape[1], low: 0, high, colors: "inferno" }, settings.manner);
        canvas.setAttribute("aria-label", `Attention rollout, ${name}: at most ${percent(range(map.data)[1])} from one patch.`);
      }
      bar.set("0", percent(high), "common");
    },
  };
}
