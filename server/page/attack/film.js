/** @import { Job, Step } from "./job.js" */
import { fill, h, slider } from "../core/dom.js";
import { lab, modelNamed } from "../core/lab.js";
import { percent, short } from "../core/numbers.js";
import { SERIES } from "../core/color.js";
import { lineChart } from "../charts/lines.js";

const chosen = { gain: 16 };
const FRAMES_PER_SECOND = 12;

/** The attack as a film: image, perturbation, probabilities; `shown` is told which step is looked at. @param {(at: number) => void} shown */
export function attackFilm(shown) {
  const image = h("canvas", { role: "img", "aria-label": "Not computed yet", class: "map", width: 224, height: 224, "data-figure": "Image under attack" });
  const difference = h("canvas", { role: "img", "aria-label": "Not computed yet", class: "map", width: 224, height: 224, "data-figure": "Perturbation" });
  const gain = slider("Gain", { min: 1, max: 64, step: 1, value: chosen.gain, show: (value) => `× ${value}`, input: (value) => ((chosen.gain = value), drawFrame()) });
  const chart = lineChart("Probability of the class under attack", { height: 224, pick: (step) => seek(indexOf(step)) });
  const caption = h("p", { class: "small number" });
  const play = h("button", { onclick: () => toggle() }, "Play");
  const range = h("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Step of the attack" });
  range.addEventListener("input", () => (pause(), seek(Number(range.value))));
  const element = h("div", { class: "film" },
    h("div", { class: "screens" },
      h("figure", {}, h("h3", {}, "Image"), image, caption),
      h("figure", {}, h("h3", {}, "Perturbation"), difference, gain.element),
      chart.element),
    h("div", { class: "scrub" }, play, range));

  /** @type {Job|null} */
  let job = null;
  /** Index among the job's steps. */
  let at = 0;
  /** Stays at the newest step until the reader goes back. */
  let following = true;
  let timer = 0;
  /** @type {Map<string, Promise<HTMLImageElement>>} */
  const frames = new Map();

  const frame = (/** @type {string} */ path) => {
    let loading = frames.get(path);
    if (!loading) {
      const picture = new Image();
      picture.src = path;
      loading = picture.decode().then(() => picture);
      loading.catch(() => frames.delete(path));
      frames.set(path, loading);
    }
    return loading;
  };
  const indexOf = (/** @type {number} */ step) => {
    const steps = job?.steps ?? [];
    let best = 0;
    steps.forEach((other, index) => Math.abs(other.step - step) < Math.abs(steps[best].step - step) && (best = index));
    return best;
  };

  /** A small image keeps its pixels. @param {HTMLImageElement} picture */
  const showPixels = ({ naturalWidth }) => element.classList.toggle("coarse", naturalWidth < 100);
  let turn = 0;
  const drawFrame = async () => {
    if (!job?.steps.length) return;
    const mine = ++turn;
    const [clean, now] = await Promise.all([frame(job.picture(-1)), frame(job.picture(at))]).catch(() => [null, null]);
    if (mine !== turn || !clean || !now) return;
    for (const canvas of [image, difference]) [canvas.width, canvas.height] = [now.naturalWidth, now.naturalHeight];
    image.getContext("2d")?.drawImage(now, 0, 0);
    drawDifference(difference, clean, now, chosen.gain);
    showPixels(now);
    difference.dataset.figure = `Perturbation × ${chosen.gain}`;
  };
  const draw = () => {
    const step = job?.steps[at];
    if (!job || !step) return;
    const { question, steps } = job;
    range.max = String(steps.length - 1);
    range.value = String(at);
    range.setAttribute("aria-valuetext", `step ${step.step}`);
    const size = `L∞ ${short(step.linf)}/255, L2 ${short(step.l2)}`;
    fill(caption, `Step ${step.step}; ${size}`);
    image.dataset.figure = `Step ${step.step}, ${size}`;
    image.setAttribute("aria-label", `The image after step ${step.step}.`);
    difference.setAttribute("aria-label", `The perturbation after step ${step.step}, ${size}, times ${chosen.gain}.`);
    const names = [question.model, ...question.watch];
    const colored = names.map((name) => ({ name, color: SERIES[lab.models.findIndex((model) => model.name === name) % SERIES.length] }));
    chart.set({
      series: colored.map(({ name, color }) => ({ name: modelNamed(name).title, color, dashed: name !== question.model, points: steps.flatMap((other) => pointOf(other, name)) })).filter(({ points }) => points.length),
      x: [steps[0].step, Math.max(job.running ? question.steps ?? 1 : 1, steps[steps.length - 1].step)], y: [0, 1], xLabel: "step", show: percent, cursor: step.step,
    });
    shown(at);
    drawFrame();
  };
  const seek = (/** @type {number} */ to) => {
    if (!job) return;
    at = Math.max(0, Math.min(job.steps.length - 1, to));
    following = at === job.steps.length - 1;
    draw();
  };
  const pause = () => {
    clearInterval(timer);
    timer = 0;
    fill(play, "Play");
  };
  const toggle = () => {
    if (timer) return pause();
    if (at >= (job?.steps.length ?? 1) - 1) seek(0);
    fill(play, "Pause");
    timer = window.setInterval(() => {
      seek(at + 1);
      if (at >= (job?.steps.length ?? 1) - 1) pause();
    }, 1000 / FRAMES_PER_SECOND);
  };

  return {
    element, pause,
    /** The image before any attack. @param {string} path */
    clean: async (path) => {
      const mine = ++turn;
      const picture = await frame(path).catch(() => null);
      if (mine !== turn || !picture) return;
      for (const canvas of [image, difference]) [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
      image.getContext("2d")?.drawImage(picture, 0, 0);
      drawDifference(difference, picture, picture, chosen.gain);
      showPixels(picture);
      fill(caption, "Clean image");
      image.setAttribute("aria-label", "The clean image.");
      difference.setAttribute("aria-label", "No perturbation yet.");
      chart.set({ series: [], x: [0, 10], y: [0, 1], xLabel: "step", show: percent });
    },
    /** @param {Job} now A job that is new, or has new steps. */
    update: (now) => {
      if (now !== job) {
        [job, at, following] = [now, Math.max(0, now.steps.length - 1), true];
        frames.clear();
        pause();
      }
      if (following && !timer) at = Math.max(0, now.steps.length - 1);
      draw();
    },
    /** @param {number} by */
    step: (by) => (pause(), seek(at + by)),
  };
}

/** A model without the class under attack has no line. @param {Step} step @param {string} name @returns {[number, number][]} */
const pointOf = (step, name) => (typeof step.models[name]?.source === "number" ? [[step.step, /** @type {number} */ (step.models[name].source)]] : []);

/**
 * Grey where nothing changed.
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLImageElement} clean
 * @param {HTMLImageElement} now
 * @param {number} gain
 */
function drawDifference(canvas, clean, now, gain) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  const { width, height } = canvas;
  const read = (/** @type {HTMLImageElement} */ picture) => {
    context.drawImage(picture, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  };
  const before = read(clean).data;
  const after = read(now);
  for (let i = 0; i < before.length; i++) if (i % 4 !== 3) after.data[i] = 128 + gain * (after.data[i] - before[i]);
  context.putImageData(after, 0, 0);
}
