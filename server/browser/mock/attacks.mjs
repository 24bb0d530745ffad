// A made-up attack that moves the models' answers step by step.
import { classes, geometry, guesses, noise, probabilities } from "./models.mjs";

export const attacks = [
  { id: "pgd", title: "PGD", summary: "steps along the sign of the gradient, projected back", norms: ["linf", "l2"], steps: 20, losses: ["cross-entropy", "margin"], restarts: true, targeted: true, goal: "within" },
  { id: "fgsm", title: "FGSM", summary: "one step along the sign of the gradient", norms: ["linf"], steps: null, losses: [], restarts: false, targeted: true, goal: "within" },
  { id: "ddn", title: "DDN", summary: "the smallest perturbation, direction and norm decoupled", norms: ["l2"], steps: 40, losses: [], restarts: false, targeted: true, goal: "smallest" },
];

export const norms = [
  { id: "linf", title: "L∞", unit: "/255", size: 4, sizes: [1, 2, 4, 8, 16] },
  { id: "l2", title: "L2", unit: "", size: 1, sizes: [0.25, 0.5, 1, 2, 4] },
];

const PAUSE = 60;

export class Job {
  constructor(id, question, image) {
    Object.assign(this, { id, question, image, ended: false });
    this.steps = question.attack === "fgsm" ? 1 : question.steps ?? 20;
    this.events = [];
    this.listeners = new Set();
    this.timer = setInterval(() => this.advance(), PAUSE);
    this.tell("step", this.step(0));
  }

  pushAt(step) {
    return Math.min(1, step / this.steps) * 0.9;
  }

  step(step) {
    const push = this.pushAt(step);
    const truth = guesses(probabilities(this.question.model, this.image.seed).probabilities, 1)[0].class;
    const models = {};
    for (const name of [this.question.model, ...this.question.watch]) {
      const { probabilities: values } = probabilities(name, this.image.seed, name === this.question.model ? push : push * 0.45);
      const drift = name === "vit" ? Array.from({ length: geometry.LAYERS }, (_, l) => [0, 1, 2].map((head) => push * 0.3 * (l / 12) * noise(l, head, 2))) : null;
      models[name] = { top: guesses(values, 3), source: values[truth], fooled: guesses(values, 1)[0].class !== truth, drift };
    }
    return { step, linf: push * this.question.size, l2: push * 3, models };
  }

  advance() {
    const next = this.events.filter(([kind]) => kind === "step").length;
    if (next <= this.steps) return this.tell("step", this.step(next));
    const last = this.step(this.steps);
    const id = `a${this.id}${this.image.id}`;
    this.keep(id, { name: `adversarial-${this.image.name}`, seed: this.image.seed, push: 0.9, size: this.question.size, label: this.image.label });
    const answered = Object.fromEntries(Object.entries(last.models).map(([name, { fooled, top }]) => [name, { fooled, top }]));
    this.tell("done", { image: id, step: this.steps, steps: this.steps, success: last.models[this.question.model].fooled, linf: last.linf, l2: last.l2, l1: 40, l0: 50176, answer: last.models[this.question.model].top[0], models: answered, note: null });
    this.end();
  }

  stop() {
    if (!this.ended) this.tell("stopped", {});
    this.end();
  }

  end() {
    this.ended = true;
    clearInterval(this.timer);
    for (const response of this.listeners) response.end();
  }

  tell(kind, data) {
    this.events.push([kind, data]);
    for (const response of this.listeners) response.write(Job.text(this.events.length, kind, data));
  }

  static text(id, kind, data) {
    return `id: ${id}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
  }

  stream(response, headers) {
    response.writeHead(200, { ...headers, "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    this.events.forEach(([kind, data], i) => response.write(Job.text(i + 1, kind, data)));
    if (this.ended) return response.end();
    this.listeners.add(response);
    response.on("close", () => this.listeners.delete(response));
  }
}
