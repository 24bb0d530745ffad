/** @import { Method, Model } from "../core/types.js" */
import { fill, h, showError } from "../core/dom.js";
import { lab } from "../core/lab.js";
import { drawOver, valueAt } from "../core/maps.js";
import { short } from "../core/numbers.js";
import { settings } from "../attention/settings.js";
import { asked, explain } from "./map.js";

/** Maps that know nothing of the model, next to those that claim to. */
export function baselineRow() {
  const methods = lab.methods.filter(({ kind }) => kind === "baseline");
  const sets = lab.models.map((model) => baselineSet(model, methods.filter(({ id }) => model.methods.includes(id))));
  const element = h("section", { class: "method baseline", "aria-label": "Baselines" },
    h("header", {}, h("h3", {}, "Baselines"), h("p", { class: "small quiet" }, "An explanation that is no better than these says nothing about the model.")),
    h("div", { class: "across", style: { "--models": lab.models.length } }, sets.map((set) => set.element)));
  return { element, draw: () => sets.forEach((set) => set.draw()), load: () => sets.forEach((set) => set.load()) };
}

/** @param {Model} model @param {Method[]} methods */
function baselineSet(model, methods) {
  const figures = methods.map((method) => {
    const canvas = h("canvas", { role: "img", class: "map", "aria-label": `${method.title}: ${method.summary}`, "data-figure": `${method.title} (baseline), ${model.title}` });
    const caption = h("figcaption", { title: method.summary }, method.title);
    /** @type {import("./map.js").Explained|null} */
    let explained = null;
    canvas.addEventListener("pointermove", (event) => {
      if (!explained) return;
      const box = canvas.getBoundingClientRect();
      fill(caption, `${method.title}: ${short(valueAt(explained.heat, (event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width).value)}`);
    });
    canvas.addEventListener("pointerleave", () => fill(caption, method.title));
    const draw = () => explained && drawOver(canvas, explained.image, explained.heat, settings.manner);
    const load = async () => {
      const now = asked(model);
      try {
        const answer = await explain(model, method);
        if (now !== asked(model)) return;
        explained = answer;
        draw();
      } catch (error) {
        showError(caption, error);
      }
    };
    return { element: h("figure", {}, canvas, caption), draw, load };
  });
  return { element: h("div", { class: "baselines" }, figures.map((figure) => figure.element)), draw: () => figures.forEach((figure) => figure.draw()), load: () => figures.forEach((figure) => figure.load()) };
}
