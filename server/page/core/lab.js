/** @import { Answer, Heads, ImageFacts, Lab, Model } from "./types.js" */
import { ask, askAgain, know, questionPath } from "./api.js";
import { place } from "./state.js";

/** What the server has open; filled before anything is shown. @type {Lab} */
export let lab;

/** @param {(opening: string) => void} waiting @returns {Promise<Lab>} */
export async function openLab(waiting) {
  for (;;) {
    const answer = await askAgain("/api/lab");
    if (answer.ready) {
      lab = { ...answer, command: shareable(answer.command) };
      if (answer.run?.startsWith(BUNDLED)) await recallFirst();
      return lab;
    }
    waiting(answer.opening ?? "opening the models");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What the server calls the models that it brings along. */
const BUNDLED = "the bundled investigation";

/** The finished state of the first image, recorded with `server/browser/record.mjs`; only if it is of these models. */
async function recallFirst() {
  const first = await askAgain("/first/state.json").catch(() => null);
  const same = first?.models.every((/** @type {any} */ { name, title, parameters }, /** @type {number} */ i) => lab.models[i]?.name === name && lab.models[i].title === title && lab.models[i].parameters === parameters);
  if (same && first.image === lab.first) know(first.answers);
}

/** A command without what belongs to this start of the lab alone. @param {string} command */
const shareable = (command) => command.replace(/^\S*archaeo(?=\s)/, "archaeo").replace(/ --(token|port)[ =]\S+/g, "").replace(/ --open\b/, "");

/** @param {string} name @returns {Model} */
export const modelNamed = (name) => lab.models.find((model) => model.name === name) ?? lab.models[0];

/** @returns {Model} The model in focus. */
export const focused = () => modelNamed(place.model);

/** @returns {Model|null} The model whose attention is looked at: the one in focus, or the first that has any. */
export const attentive = () => (focused().attention ? focused() : lab.models.find((model) => model.attention) ?? null);

/**
 * The class asked about, as an output of `model`: chosen as one of the focused model's, matched by name elsewhere.
 * @param {Model} model
 * @returns {number|null} `null`: what the model predicts.
 */
export function targetOf(model) {
  if (place.target === null) return null;
  const from = focused();
  if (model.name === from.name) return place.target;
  const index = model.classes.indexOf(from.classes[place.target]);
  return index < 0 ? null : index;
}

/** @param {string} model @param {string} image @returns {Promise<Answer>} */
export const answerOf = (model, image) => ask(questionPath(model, "answer", { image }));

/** @param {string} model @param {string} image @returns {Promise<Heads>} */
export const headsOf = (model, image) => ask(questionPath(model, "heads", { image }));

/** @param {string} image @returns {Promise<ImageFacts>} With the label in words where a model has a name for it. */
export async function imageFacts(image) {
  const facts = await ask(`/api/images/${encodeURIComponent(image)}`);
  const known = lab.models.find(({ name }) => typeof facts.label_index?.[name] === "number");
  return { ...facts, label: known?.classes[facts.label_index[known.name]] ?? facts.label };
}

/** Of the weights' bytes; it takes the server a moment for large files. @param {Model} model @returns {Promise<string>} */
export const hashOf = async ({ name }) => (await ask(`/api/models/${encodeURIComponent(name)}/hash`)).hash;

/** What even attention's distance is in a layer, in pixels. @param {Heads|null} heads @param {number} layer */
export const evenDistance = (heads, layer) => heads?.layers[layer - 1]?.even_distance ?? heads?.even?.distance;
