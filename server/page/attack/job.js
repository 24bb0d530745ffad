/** @import { Guess } from "../core/types.js" */
import { post, remove } from "../core/api.js";

/**
 * @typedef {{top: Guess[], source: number|null, target?: number|null, fooled: boolean, drift: number[][]|null}} Effect What a model makes of a step.
 * @typedef {{step: number, linf: number, l2: number, models: Record<string, Effect>}} Step
 * @typedef {{image: string, step: number, steps: number, success: boolean, linf: number, l2: number, l1: number, l0: number, answer: Guess, models: Record<string, {fooled: boolean, top: Guess[]}>, note: string|null}} Done
 * @typedef {{image: string, model: string, attack: string, norm: string, size: number, steps: number|null, loss: string|null, target: number|null, restarts: number, watch: string[]}} Question
 */

/** Whether a model that only watches gives another answer than for the clean image: its own, right or wrong. @param {Step[]} steps @param {number} at @param {string} model */
export const changedAnswer = (steps, at, model) => steps[at]?.models[model]?.top[0]?.class !== steps[0]?.models[model]?.top[0]?.class;

/** The same attack on all images, from the command line. @param {Question} question @param {string} data @param {string} weights */
export const commandOf = ({ attack, norm, size, steps, restarts }, data, weights) =>
  ["archaeo attack", `--data ${data}`, `--weights ${weights}`, `--attack ${attack}`, `--norm ${norm}`, `--epsilon ${size}`, steps ? `--steps ${steps}` : "", restarts > 1 ? `--restarts ${restarts}` : ""].filter(Boolean).join(" ");

/** An attack under way or over: its steps as they come. It goes on while other views are shown. */
export class Job {
  /** @param {Question} question @param {string} id */
  constructor(question, id) {
    this.question = question;
    this.id = id;
    /** @type {Step[]} */
    this.steps = [];
    /** @type {Done|null} */
    this.done = null;
    /** @type {string|null} */
    this.error = null;
    this.stopped = false;
    /** @type {() => void} */
    this.listener = () => {};
    this.events = new EventSource(`/api/attacks/${encodeURIComponent(id)}/events`);
    this.events.addEventListener("step", (event) => {
      const step = JSON.parse(event.data);
      // After a reconnection, steps that are here already come again.
      const at = this.steps.findIndex((other) => other.step === step.step);
      if (at >= 0) this.steps[at] = step;
      else this.steps.push(step);
      this.listener();
    });
    this.events.addEventListener("done", (event) => this.end(() => (this.done = JSON.parse(event.data))));
    this.events.addEventListener("failed", (event) => this.end(() => (this.error = JSON.parse(event.data).error)));
    this.events.addEventListener("stopped", () => this.end(() => (this.stopped = true)));
    this.events.onerror = () => {
      if (this.events.readyState === EventSource.CLOSED) this.end(() => (this.error ??= "The attack's stream broke off. Check that archaeo lab is still running, then start it again."));
    };
  }

  get running() {
    return !this.done && !this.error && !this.stopped;
  }

  /** @param {() => void} last */
  end(last) {
    if (!this.running) return;
    last();
    this.events.close();
    this.listener();
  }

  /** The address of the image after the step at index `at` of those that came. @param {number} at */
  picture(at) {
    return `/api/attacks/${encodeURIComponent(this.id)}/steps/${at < 0 ? 0 : this.steps[at].step}.png`;
  }

  async stop() {
    if (!this.running) return;
    await remove(`/api/attacks/${encodeURIComponent(this.id)}`).catch((error) => this.end(() => (this.error = error.message)));
    this.end(() => (this.stopped = true));
  }
}

/** The last attack, kept while views change. @type {{job: Job|null}} */
export const last = { job: null };

/** @param {Question} question */
export async function startAttack(question) {
  last.job?.stop();
  const { job } = await (await post("/api/attacks", question)).json();
  return (last.job = new Job(question, job));
}
