/** @import { Heads, Model } from "../core/types.js" */
import { askArrays, inputPath, questionPath } from "../core/api.js";
import { fill, h, showError } from "../core/dom.js";
import { evenDistance, headsOf, lab, targetOf } from "../core/lab.js";
import { picture } from "../core/maps.js";
import { firstName, percent, short } from "../core/numbers.js";
import { SERIES } from "../core/color.js";
import { go, place } from "../core/state.js";
import { lineChart } from "../charts/lines.js";
import { lensPanel } from "./lens.js";

/** @typedef {{layer: number, read_out: {class: number, name: string, probability: number, target_probability: number}|null, similarity: number|null, distance: number, entropy: number}} Layer */

/** A model from its first layer to its last. @param {Model} model */
export const depthPanel = (model) => (model.attention ? layersPanel(model) : noLayers(model));

/** @param {Model} model */
function noLayers(model) {
  const element = h("section", { class: "model", "aria-label": `Depth of ${model.title}` },
    h("header", {}, h("div", {}, h("h2", {}, model.title), h("p", { class: "small quiet" }, model.describe))),
    h("p", { class: "note" }, "It has no tokens that its head could read after each layer, so there is no logit lens."));
  return { element, load: () => {}, layer: () => {}, leave: () => {} };
}

/** @param {Model} model */
function layersPanel(model) {
  const color = SERIES[lab.models.indexOf(model) % SERIES.length];
  const lens = lensPanel(model);
  const pick = { height: 215, pick: (/** @type {number} */ layer) => go({ layer }) };
  const charts = {
    target: lineChart("Probability of the class asked about", pick),
    similarity: lineChart("Similarity to what the head reads at the end", pick),
    distance: lineChart("Attention distance", pick),
    entropy: lineChart("Attention entropy, as a share of even attention's", pick),
  };
  const says = h("ol", { class: "says" });
  const answers = h("section", { "aria-label": "What the head would say after each layer" }, h("h3", {}, "What it would say after each layer"), says);
  const noLens = h("p", { class: "note", hidden: true }, "The width of its tokens changes between stages, and its head reads those of the last stage alone. So it has no logit lens.");
  const body = h("div", { class: "lens", hidden: true },
    h("div", { class: "stack" }, lens.element, noLens, answers),
    h("div", { class: "charts" },
      charts.target.element, charts.similarity.element, charts.distance.element, charts.entropy.element));
  const trouble = h("div");
  const element = h("section", { class: "model", "aria-label": `Depth of ${model.title}`, "data-model": model.name },
    h("header", {}, h("div", {}, h("h2", {}, model.title), h("p", { class: "small quiet" }, model.describe))), trouble, body);
  /** @type {{layers: Layer[], target: {class: number, name: string}, heads: Heads|null}|null} */
  let data = null;

  const asked = () => `${place.image} ${targetOf(model)}`;
  const load = async () => {
    const now = asked();
    body.classList.add("busy");
    try {
      const [{ arrays, meta }, image] = await Promise.all([
        askArrays(questionPath(model.name, "depth", { image: place.image, target: targetOf(model) })), picture(inputPath(place.image, model.name))]);
      if (now !== asked()) return;
      fill(trouble);
      body.hidden = false;
      data = { layers: meta.layers, target: meta.target, heads: null };
      for (const part of [lens.element, answers, charts.target.element, charts.similarity.element]) part.hidden = !arrays.lens;
      noLens.hidden = Boolean(arrays.lens);
      if (arrays.lens) lens.open(arrays.lens, arrays.lens_class, image, meta.target);
      draw();
      const heads = await headsOf(model.name, place.image);
      if (now === asked()) (data.heads = heads), draw();
    } catch (error) {
      if (now !== asked()) return;
      showError(trouble, error);
    } finally {
      body.classList.remove("busy");
    }
  };

  const draw = () => {
    if (!data) return;
    const { layers, target, heads } = data;
    const cursor = Math.min(place.layer, layers.length);
    const x = /** @type {[number, number]} */ ([1, layers.length]);
    const line = (/** @type {(layer: Layer) => number} */ of, name = model.title) => ({ name, color, points: layers.map((layer) => /** @type {[number, number]} */ ([layer.layer, of(layer)])) });
    const dots = (/** @type {"distance"|"entropy"} */ of) => (heads ? [{ name: "each head", color: "var(--series-5)", dots: true, points: heads.layers.flatMap(({ layer, heads: all }) => all.map((head) => /** @type {[number, number]} */ ([layer, head[of]]))) }] : []);
    const even = evenDistance(heads, cursor);
    const far = Math.max(1, even ?? 0, ...layers.map(({ distance }) => distance), ...(heads?.layers ?? []).flatMap((layer) => layer.heads.map(({ distance }) => distance)));
    const common = { x, xLabel: "layer", cursor };
    if (layers.every(({ read_out }) => read_out)) {
      charts.target.set({ ...common, series: [line((layer) => layer.read_out?.target_probability ?? 0, firstName(target.name))], y: [0, 1], show: percent });
      const similarities = layers.map(({ similarity }) => similarity ?? 0);
      charts.similarity.set({ ...common, series: [line((layer) => layer.similarity ?? 0, "cosine")], y: [Math.min(0, ...similarities), 1], show: short });
    }
    charts.distance.set({ ...common, series: [...dots("distance"), line((layer) => layer.distance, "mean")], y: [0, far * 1.05], show: (value) => `${Math.round(value)} px`, marks: even ? [[even, "even attention"]] : [] });
    charts.entropy.set({ ...common, series: [...dots("entropy"), line((layer) => layer.entropy, "mean")], y: [0, 1], show: (value) => value.toFixed(2) });
    fill(says, layers.map(({ layer, read_out }) => read_out && h("li", {}, h("button", { "aria-pressed": String(layer === cursor), onclick: () => go({ layer }), title: read_out.name },
      h("span", { class: "number" }, layer), h("span", { class: `name${read_out.class === target.class ? " right" : ""}` }, firstName(read_out.name)), h("span", { class: "number" }, percent(read_out.probability))))));
  };
  return {
    element, load, leave: lens.pause,
    layer: () => {
      draw();
      lens.draw();
    },
  };
}
