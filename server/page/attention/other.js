/** @import { Model } from "../core/types.js" */
/** @import { Heat } from "../core/maps.js" */
import { askArrays, inputPath, questionPath } from "../core/api.js";
import { fill, h, showError } from "../core/dom.js";
import { lab, targetOf } from "../core/lab.js";
import { drawOver, peak, picture } from "../core/maps.js";
import { firstName, range, short } from "../core/numbers.js";
import { go, place } from "../core/state.js";
import { colorBar } from "../charts/colorbar.js";
import { settings } from "./settings.js";

/** A model without attention, next to those that have it: what a method that needs none shows. @param {Model} model */
export function otherPanel(model) {
  const known = lab.methods.filter(({ id, kind }) => kind === "explanation" && model.methods.includes(id));
  const method = known.find(({ id }) => id === "grad-cam") ?? known[0];
  const canvas = h("canvas", { role: "img", "aria-label": "Not computed yet", class: "map", "data-figure": `${method?.title} of ${model.title}` });
  const bar = colorBar("inferno");
  const said = h("p", { class: "small" });
  const element = h("section", { class: "model other", "aria-label": model.title },
    h("header", {}, h("h2", {}, model.title), h("p", { class: "small quiet" }, model.describe)),
    h("p", { class: "small" }, "It has no attention to show."),
    method ? h("div", {}, h("h3", {}, method.title), canvas, bar.element, said) : null,
    method ? h("button", { class: "plain", onclick: () => go({ view: "explanations" }) }, "Compare explanations") : null);
  /** @type {Heat|null} */
  let heat = null;
  /** @type {HTMLImageElement|null} */
  let image = null;

  const redraw = () => heat && drawOver(canvas, image, heat, settings.manner);
  const load = async () => {
    if (!method) return;
    const asked = place.image;
    const target = targetOf(model);
    try {
      const [shown, { arrays, meta }] = await Promise.all([picture(inputPath(asked, model.name)), askArrays(questionPath(model.name, "explain", { image: asked, method: method.id, target }))]);
      if (asked !== place.image || target !== targetOf(model)) return;
      image = shown;
      const { data, shape } = arrays.map;
      heat = { values: data, rows: shape[0], columns: shape[1], low: Math.min(0, range(data)[0]), high: range(data)[1], colors: method.signed ? "signed" : "inferno" };
      redraw();
      bar.set(short(heat.low), short(heat.high), "", heat.colors);
      const best = peak(heat);
      fill(said, "For ", h("strong", {}, firstName(meta.target.name)), ".");
      canvas.setAttribute("aria-label", `${method.title} for ${meta.target.name}: highest in row ${best.row + 1} of ${heat.rows}, column ${best.column + 1} of ${heat.columns}.`);
    } catch (error) {
      showError(said, error);
    }
  };
  return {
    element, load, preview: () => {},
    /** @param {Set<string>} changed */
    change: (changed) => {
      if (changed.has("image") || changed.has("target") || changed.has("model")) load();
      else if (changed.has("manner")) redraw();
    },
  };
}
