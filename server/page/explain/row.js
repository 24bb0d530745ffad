/** @import { Method, Model } from "../core/types.js" */
import { h } from "../core/dom.js";
import { lab } from "../core/lab.js";
import { sentenceCase } from "../core/numbers.js";
import { explanationCell } from "./cell.js";
import { commonScale } from "./map.js";

/** One method on every model. @param {Method} method @param {{common: boolean}} scale */
export function methodRow(method, scale) {
  const row = {
    loaded: () => draw(),
    point: (/** @type {[number, number]|null} */ at) => cells.forEach((cell) => cell.read(at)),
  };
  const cells = lab.models.filter((model) => model.methods.includes(method.id)).map((model) => explanationCell(model, method, row));
  const places = lab.models.map((model) => cells.find((cell) => cell.model === model)?.element ?? notHere(model));
  const element = h("section", { class: "method", "aria-label": method.title, "data-method": method.id },
    h("header", {}, h("h3", {}, sentenceCase(method.title)), h("p", { class: "small quiet" }, method.summary,
      method.paper ? ["; ", h("a", { href: method.paper.url, rel: "noreferrer", target: "_blank" }, method.paper.citation)] : null)),
    h("div", { class: "across", style: { "--models": lab.models.length } }, places));
  const draw = () => {
    const heats = cells.flatMap((cell) => cell.heat() ?? []);
    const common = scale.common ? commonScale(heats) : null;
    cells.forEach((cell) => cell.draw(common));
  };
  return {
    element, draw,
    /** @param {(model: Model) => boolean} [of] */
    load: (of = () => true) => cells.filter((cell) => of(cell.model)).forEach((cell) => cell.load()),
  };
}

/** @param {Model} model */
const notHere = (model) => h("div", { class: "cell" }, h("p", { class: "note" }, `Does not apply to ${model.title}.`));
