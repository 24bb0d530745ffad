/** @import { Method, Model } from "../core/types.js" */
/** @import { Explained } from "./map.js" */
import { ask, questionPath } from "../core/api.js";
import { announce, fill, h, showError } from "../core/dom.js";
import { imageFacts, targetOf } from "../core/lab.js";
import { drawOver, peak, valueAt } from "../core/maps.js";
import { baseName, firstName, percent, short } from "../core/numbers.js";
import { place } from "../core/state.js";
import { colorBar } from "../charts/colorbar.js";
import { settings } from "../attention/settings.js";
import { asked, explain, meanSize } from "./map.js";
import { imageVerdict, studyVerdict } from "./verdict.js";

/**
 * One method on one model: map, scale, verdict.
 * @param {Model} model
 * @param {Method} method
 * @param {{loaded: () => void, point: (at: [number, number]|null) => void}} row Told when the map is there, and where the pointer is.
 */
export function explanationCell(model, method, row) {
  const canvas = h("canvas", { role: "img", "aria-label": "Not computed yet", class: "map", "data-figure": `${method.title}, ${model.title}` });
  const bar = colorBar(method.signed ? "signed" : "inferno");
  const reading = h("p", { class: "small number reading" });
  const target = h("p", { class: "small" });
  const measured = h("div");
  const measure = h("button", { onclick: () => askFaithful() }, "Measure on this image");
  const verdict = model.verdicts[method.id];
  const words = h("div", { class: "words" },
    h("p", { class: "who" }, model.title), target,
    verdict ? studyVerdict(verdict) : method.kind === "explanation" ? h("p", { class: "note" }, "No study of this method on this model is open.") : null,
    measured, measure);
  const element = h("div", { class: "cell", "data-model": model.name, "data-method": method.id }, h("div", {}, canvas, bar.element, reading), words);
  /** @type {Explained|null} */
  let explained = null;

  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    row.point([(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width]);
  });
  canvas.addEventListener("pointerleave", () => row.point(null));

  const load = async () => {
    const now = asked(model);
    element.classList.add("busy");
    fill(measured);
    measure.hidden = false;
    fill(target, `Computing: ${method.cost}.`);
    try {
      const answer = await explain(model, method);
      if (now !== asked(model)) return;
      explained = answer;
      const { class: index, name, probability } = answer.meta.target;
      fill(target, "For ", h("strong", {}, firstName(name ?? `output ${index}`)), ` (${percent(probability)})`);
      element.dataset.command = `archaeo explain ${baseName((await imageFacts(place.image)).name)} --weights ${model.weights} --methods ${method.id}`;
      if (answer.meta.faithful?.metrics) fill(measured, imageVerdict(answer.meta.faithful));
      row.loaded();
    } catch (error) {
      if (now === asked(model)) showError(target, error);
    } finally {
      if (now === asked(model)) element.classList.remove("busy");
    }
  };

  const askFaithful = async () => {
    const now = asked(model);
    measure.disabled = true;
    measure.textContent = "Measuring…";
    try {
      const answer = await ask(questionPath(model.name, "faithful", { image: place.image, method: method.id, target: targetOf(model) }));
      if (now !== asked(model)) return;
      fill(measured, imageVerdict(answer));
      measure.hidden = true;
      announce(`${method.title}, ${model.title}: ${answer.sentence}`);
    } catch (error) {
      if (now === asked(model)) showError(measured, error);
    } finally {
      measure.disabled = false;
      measure.textContent = "Measure on this image";
    }
  };

  /** @param {[number, number]|null} scale Common to what is compared, in units of each map's mean; `null`: the map's own values. */
  const draw = (scale) => {
    if (!explained) return;
    const [low, high] = scale ?? [explained.heat.low, explained.heat.high];
    const unit = scale ? meanSize(explained.heat) : 1;
    const heat = { ...explained.heat, low: low * unit, high: high * unit };
    drawOver(canvas, explained.image, heat, settings.manner);
    const clipped = method.over === "pixels" ? "≥ " : "";
    bar.set(`${clipped && low < 0 ? "≤ " : ""}${short(low)}`, `${clipped}${short(high)}`, scale ? "× its mean" : "");
    const best = peak(heat);
    canvas.setAttribute("aria-label", `${method.title} of ${model.title}: highest in row ${best.row + 1} of ${heat.rows}, column ${best.column + 1} of ${heat.columns}, ${short(best.value)}.`);
  };
  /** @param {[number, number]|null} at */
  const read = (at) => {
    if (!at || !explained) return void (reading.textContent = "");
    const { row: y, column: x, value } = valueAt(explained.heat, ...at);
    reading.textContent = `row ${y + 1}, column ${x + 1}: ${short(value)}, ${short(value / meanSize(explained.heat))} × its mean`;
  };
  return { element, model, load, draw, read, heat: () => explained?.heat ?? null };
}
