/** @import { Done, Job, Question, Step } from "./job.js" */
import { imagePath, inputPath } from "../core/api.js";
import { announce, fill, h, showError } from "../core/dom.js";
import { answerOf, focused, lab, modelNamed } from "../core/lab.js";
import { firstName, percent, short } from "../core/numbers.js";
import { place } from "../core/state.js";
import { addImage } from "../shell/strip.js";
import { attackEffects } from "./effects.js";
import { attackFilm } from "./film.js";
import { attackForm } from "./form.js";
import { commandOf, last, startAttack } from "./job.js";

/** An attack that happens while one looks. @param {HTMLElement} root */
export function mount(root) {
  const trouble = h("div");
  const outcome = h("div", { class: "outcome", "aria-live": "polite" });
  const effects = attackEffects();
  const film = attackFilm((at) => last.job && effects.show(last.job, at));
  const stage = h("div", { class: "stage" }, film.element, outcome, effects.element);
  const form = attackForm(run, () => last.job?.stop());
  fill(root, form.element, trouble, stage);

  /** @param {Question} question */
  async function run(question) {
    fill(trouble);
    form.running(true);
    try {
      listen(await startAttack(question));
    } catch (error) {
      showError(trouble, error);
      form.running(false);
    }
  }

  /** @param {Job} job */
  function listen(job) {
    const update = () => {
      form.running(job.running);
      if (job.error) showError(trouble, new Error(job.error));
      if (job.steps.length) film.update(job);
      showOutcome(outcome, job);
    };
    job.listener = update;
    update();
  }
  /** Before the first attack: the image as it is. */
  const showClean = async () => {
    if (last.job?.steps.length) return;
    const { image } = place;
    film.clean(inputPath(image, focused().name));
    fill(outcome, h("p", { class: "quiet" }, "Start an attack: its steps appear here as they are computed, with what every model makes of them."));
    const said = await Promise.all(lab.models.map((model) => (model.classes.length ? answerOf(model.name, image).catch(() => null) : null)));
    if (image === place.image && !last.job?.steps.length) effects.clean(said);
  };
  if (last.job) listen(last.job);
  else showClean();

  /** Arrow keys go through the film. @param {KeyboardEvent} event */
  const keys = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target instanceof HTMLElement && event.target.matches("input, select, [data-keys]"))) return;
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    film.step(event.key === "ArrowLeft" ? -1 : 1);
  };
  addEventListener("keydown", keys);
  return {
    /** @param {Set<string>} changed */
    change: (changed) => {
      if (changed.has("model") || changed.has("target")) form.build();
      if (changed.has("image") || changed.has("model")) showClean();
      if (changed.has("image") && last.job?.steps.length) showOutcome(outcome, last.job);
    },
    leave: () => {
      removeEventListener("keydown", keys);
      film.pause();
      if (last.job) last.job.listener = () => {};
    },
  };
}

/** @param {HTMLElement} root @param {Job} job */
function showOutcome(root, job) {
  const { done, question } = job;
  const other = place.image !== question.image && place.image !== done?.image ? h("p", { class: "note" }, "This attack is of another image than the one on the left.") : null;
  if (job.running) return fill(root, h("p", { class: "quiet" }, "Attacking…"), other);
  if (!done) return fill(root, job.stopped ? h("p", {}, "Stopped.") : null, other);
  const sentence = inWords(done, question, job.steps);
  const command = commandOf(question, lab.images.name, modelNamed(question.model).weights);
  fill(root, h("p", { class: "sentence" }, sentence), done.note ? h("p", { class: "note" }, done.note) : null, other,
    h("div", { class: "row" },
      h("button", { onclick: () => addImage({ id: done.image, name: "adversarial image", label: null }) }, "Examine it in the other views"),
      h("a", { class: "button", href: imagePath(done.image), download: `adversarial-${question.attack}.png` }, "Save image")),
    h("p", { class: "small quiet" }, "On all images: ", h("code", { "data-command": command }, command)));
  announce(sentence);
}

/** @param {Done} done @param {Question} question @param {Step[]} steps */
function inWords(done, question, steps) {
  const name = (/** @type {string} */ model) => modelNamed(model).title;
  const size = question.norm === "linf" ? `L∞ ${short(done.linf)}/255` : `${question.norm.toUpperCase()} ${short(/** @type {Record<string, number>} */ (/** @type {unknown} */ (done))[question.norm] ?? done.l2)}`;
  const first = done.success
    ? `${name(question.model)} now says ${firstName(done.answer.name)} (${percent(done.answer.probability)}), at ${size}.`
    : `${name(question.model)} still says ${firstName(done.answer.name)} (${percent(done.answer.probability)}).`;
  const watched = Object.entries(done.models).filter(([model]) => model !== question.model);
  const transfer = watched.map(([model, { top }]) => {
    const before = steps[0]?.models[model]?.top[0];
    const now = `${firstName(top[0].name)} (${percent(top[0].probability)})`;
    return before && before.class !== top[0].class ? `It transfers to ${name(model)}, which turns from ${firstName(before.name)} to ${now}.` : `It does not transfer to ${name(model)}, which still says ${now}.`;
  });
  return [first, ...(done.success ? transfer : [])].filter(Boolean).join(" ");
}
