/** @import { Attack } from "../core/types.js" */
/** @import { Question } from "./job.js" */
import { fill, h } from "../core/dom.js";
import { focused, lab } from "../core/lab.js";
import { firstName } from "../core/numbers.js";
import { go, place } from "../core/state.js";

/** In units of 1/255. */
const USUAL = 4;
/** @type {Record<string, string>} */
const NORMS = { linf: "L∞", l2: "L2", l1: "L1", l0: "L0" };

/** Kept while views change. */
const chosen = { attack: "", norm: "", size: 0, steps: 0, loss: "", restarts: 1, toward: false };

/**
 * What is attacked, and how.
 * @param {(question: Question) => void} run
 * @param {() => void} stop
 */
export function attackForm(run, stop) {
  const can = lab.models.filter((model) => model.classes.length);
  const fields = h("div", { class: "fields" });
  const summary = h("p", { class: "note" });
  const start = h("button", { class: "primary", type: "submit" }, "Attack");
  const halt = h("button", { type: "button", disabled: true, onclick: stop }, "Stop");
  const element = h("form", { class: "attack-form", onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), run(question())) }, fields, h("div", { class: "row go" }, start, halt, summary));

  const attack = () => lab.attacks.find(({ id }) => id === chosen.attack) ?? preferred();
  const normsOf = (/** @type {Attack} */ { norms }) => lab.norms.filter(({ id }) => norms.includes(id));
  /** Where a norm offers 4/255, attacks of photographs begin there. @param {{size: number, sizes: number[]}} norm */
  const sizeOf = ({ size, sizes }) => chosen.size || (sizes.includes(USUAL) && norm().id === "linf" ? USUAL : size);
  const norm = () => normsOf(attack()).find(({ id }) => id === chosen.norm) ?? normsOf(attack())[0];

  const question = () => {
    const { id, steps, losses, restarts, goal } = attack();
    const { id: normId, size } = norm();
    const target = chosen.toward && attack().targeted ? place.target : null;
    return {
      image: place.image, model: focused().name, attack: id, norm: normId, size: goal === "within" ? sizeOf(norm()) : size,
      steps: steps === null ? null : chosen.steps || steps, loss: losses.length ? chosen.loss || losses[0] : null, target,
      restarts: restarts ? chosen.restarts : 1, watch: can.map(({ name }) => name).filter((name) => name !== focused().name),
    };
  };

  /** @param {string} label @param {[string|number, string][]} options @param {string|number} value @param {(value: string) => void} choose */
  const select = (label, options, value, choose) => {
    const list = h("select", { "aria-label": label, onchange: () => (choose(list.value), build()) }, options.map(([id, text]) => h("option", { value: id, selected: String(id) === String(value) }, text)));
    return h("label", { class: "field" }, label, list);
  };
  /** @param {string} label @param {number} value @param {number} most @param {(value: number) => void} choose */
  const number = (label, value, most, choose) => {
    const input = h("input", { type: "number", min: 1, max: most, value, "aria-label": label, onchange: () => choose(Math.max(1, Math.min(most, Math.round(Number(input.value) || 1)))) });
    return h("label", { class: "field" }, label, input);
  };

  const build = () => {
    const now = attack();
    const { sizes, unit, title } = norm();
    const name = (/** @type {number} */ value) => `${value}${unit}`;
    const asked = place.target === null ? null : firstName(focused().classes[place.target] ?? "");
    fill(fields,
      select("Model", can.map((model) => [model.name, model.title]), focused().name, (value) => go({ model: value, target: null })),
      select("Attack", lab.attacks.map((other) => [other.id, other.title]), now.id, (value) => ((chosen.attack = value), (chosen.steps = 0), (chosen.size = 0), (chosen.loss = ""))),
      select("Norm", normsOf(now).map((other) => [other.id, NORMS[other.id] ?? other.title]), norm().id, (value) => ((chosen.norm = value), (chosen.size = 0))),
      now.goal === "within" ? select("Size", sizes.map((value) => [value, name(value)]), sizeOf(norm()), (value) => (chosen.size = Number(value))) : h("div", { class: "field" }, "Size", h("span", { class: "fixed" }, `smallest ${NORMS[norm().id] ?? title}`)),
      now.steps === null ? null : number("Steps", chosen.steps || now.steps, Math.max(1000, now.steps), (value) => (chosen.steps = value)),
      now.losses.length > 1 ? select("Loss", now.losses.map((loss) => [loss, loss.replaceAll("-", " ")]), chosen.loss || now.losses[0], (value) => (chosen.loss = value)) : null,
      now.restarts ? number("Restarts", chosen.restarts, 20, (value) => (chosen.restarts = value)) : null,
      now.targeted ? select("Goal", [["away", "any other class"], ["toward", asked ? `toward ${asked}` : "toward a class: choose it left"]], chosen.toward && asked ? "toward" : "away", (value) => (chosen.toward = value === "toward")) : null);
    fill(summary, `${now.title}: ${now.summary}. ${NORMS[norm().id] ?? ""}: ${title}.`);
  };
  build();
  return {
    element, build,
    /** @param {boolean} running */
    running: (running) => {
      start.disabled = running;
      halt.disabled = !running;
    },
  };
}

/** PGD is what most people know; otherwise the first with steps to watch. @returns {Attack} */
const preferred = () => lab.attacks.find(({ id }) => id === "pgd") ?? lab.attacks.find(({ steps }) => steps) ?? lab.attacks[0];
