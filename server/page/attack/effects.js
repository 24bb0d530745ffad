/** @import { Job } from "./job.js" */
/** @import { Model } from "../core/types.js" */
import { fill, h } from "../core/dom.js";
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
  return { element, show };
}

/** @param {Model} model */
function effectPanel(model) {
  const state = h("p", { class: "state" });
  const list = h("ol", { class: "guesses short", style: { "--bar": SERIES[lab.models.indexOf(model) % SERIES.length] } });
  const matrix = h("canvas", { role: "img", class: "drift", "data-figure": `Drift of the heads of ${model.title}; layers from left to right` });
  const bar = colorBar("viridis");
  const title = h("h3", {}, model.title);
  const most = h("p", { class: "small number quiet" });
  const drift = h("div", { class: "drifting", hidden: true },
    h("p", { class: "small" }, "Drift of the heads: how far each one's attention is from the clean image's."), matrix, bar.element, most);
  const element = h("section", { class: "effect", "aria-label": `Effect on ${model.title}`, "data-model": model.name }, title, state, list, drift);

  /** @param {Job} job @param {number} at */
  const show = (job, at) => {
    const effect = job.steps[at]?.models[model.name];
    element.classList.toggle("unwatched", !effect);
    if (!effect) return;
    const attacked = job.question.model === model.name;
    fill(state, h("span", { class: effect.fooled ? "fooled" : "holds" }, effect.fooled ? "Fooled" : "Not fooled"), attacked ? ", under attack" : effect.source === null ? ", watching; it has no class of this name" : ", watching");
    fill(list, effect.top.map(({ name, probability }) => h("li", { class: "guess", style: { "--share": probability } }, h("span", { class: "name" }, firstName(name)), h("span", { class: "number" }, percent(probability)))));
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
  return { element, show };
}
