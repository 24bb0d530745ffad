/** @import { Job } from "./job.js" */
/** @import { Answer, Guess, Model } from "../core/types.js" */
import { fill, h } from "../core/dom.js";
import { changedAnswer } from "./job.js";
import { lab } from "../core/lab.js";
import { paint } from "../core/maps.js";
import { firstName, percent, short } from "../core/numbers.js";
import { SERIES } from "../core/color.js";
import { colorBar } from "../charts/colorbar.js";

/** What every model makes of the step that is looked at, and how far its heads have moved. */
export function attackEffects() {
  const panels = lab.models.filter((model) => model.classes.length).map(effectPanel);
  const element = h("div", { class: "effects" }, panels.map((panel) => panel.element));
  /** @param {Job} job @param {number} at */
  const show = (job, at) => panels.forEach((panel) => panel.show(job, at));
  /** What every model says of the clean image. @param {(Answer|null)[]} said In the order of the lab's models. */
  const clean = (said) => panels.forEach((panel) => panel.clean(said[lab.models.indexOf(panel.model)]));
  return { element, show, clean };
}

/** @param {Model} model */
function effectPanel(model) {
  const state = h("p", { class: "state" });
  const list = h("ol", { class: "guesses short", style: { "--bar": SERIES[lab.models.indexOf(model) % SERIES.length] } });
  const matrix = h("canvas", { role: "img", "aria-label": "Not computed yet", class: "drift", style: { "--layers": model.attention?.layers ?? 1 }, "data-figure": `Drift of the heads of ${model.title}; layers from left to right` });
  const bar = colorBar("viridis");
  const title = h("h3", {}, model.title);
  const most = h("p", { class: "small number quiet" });
  const drift = h("div", { class: "drifting", hidden: true },
    h("p", { class: "small" }, "Drift of the heads: how far each one's attention is from the clean image's."), matrix, bar.element, most);
  const element = h("section", { class: "effect", "aria-label": `Effect on ${model.title}`, "data-model": model.name }, title, state, list, drift);

  /** @param {Guess[]} top */
  const showTop = (top) => fill(list, top.map(({ name, probability }) => h("li", { class: "guess", style: { "--share": probability } }, h("span", { class: "name" }, firstName(name)), h("span", { class: "number" }, percent(probability)))));
  /** @param {Answer|null} answer */
  const clean = (answer) => {
    element.classList.remove("unwatched");
    fill(state, "Clean image");
    if (answer) showTop(answer.top.slice(0, 3));
  };
  /** @param {Job} job @param {number} at */
  const show = (job, at) => {
    const effect = job.steps[at]?.models[model.name];
    element.classList.toggle("unwatched", !effect);
    if (!effect) return;
    const attacked = job.question.model === model.name;
    const changed = changedAnswer(job.steps, at, model.name);
    const lost = attacked ? effect.fooled : changed;
    const words = attacked ? ["Fooled", "Not fooled", ", under attack"] : ["Answer changed", "Answer unchanged", ", watching"];
    fill(state, h("span", { class: lost ? "fooled" : "holds" }, words[lost ? 0 : 1]), words[2]);
    showTop(effect.top);
    drift.hidden = !effect.drift;
    if (effect.drift) showDrift(job, effect.drift);
  };
  /** One scale for the whole film. @param {Job} job @param {number[][]} now */
  const showDrift = (job, now) => {
    const all = job.steps.flatMap((step) => (step.models[model.name]?.drift ?? []).flat());
    const high = Math.max(1e-6, ...all);
    const heads = Math.max(...now.map((layer) => layer.length));
    const values = new Float32Array(heads * now.length);
    now.forEach((layer, l) => layer.forEach((value, head) => (values[head * now.length + l] = value)));
    paint(matrix, { values, rows: heads, columns: now.length, low: 0, high, colors: "viridis" });
    matrix.style.setProperty("aspect-ratio", `${now.length} / ${heads}`);
    bar.set("0", short(high), "nats");
    const farthest = now.flatMap((layer, l) => layer.map((value, head) => ({ value, layer: l + 1, head: head + 1 }))).reduce((a, b) => (b.value > a.value ? b : a));
    const words = `Farthest: layer ${farthest.layer}, head ${farthest.head}, ${short(farthest.value)} nats`;
    fill(most, words);
    matrix.setAttribute("aria-label", `Drift of the heads of ${model.title}. ${words}.`);
  };
  return { element, model, show, clean };
}
