// Questions to the made-up models, under the names of their addresses.
import { createHash } from "node:crypto";
import { attention, classes, explanations, geometry, guesses, noise, probabilities } from "./models.mjs";

const { LAYERS, HEADS, SIDE, TOKENS } = geometry;
const NO_ATTENTION = { refused: "This model has no attention. Ask a transformer." };

const readOut = [1, ...Array(TOKENS - 1).fill(0)];

function rolled(all, get = new URLSearchParams()) {
  const start = Number(get.get("start") ?? 1);
  const discard = Number(get.get("discard") ?? 0);
  const query = get.get("query") ?? "readout";
  let row = Float64Array.from(readOut);
  if (query !== "readout") {
    const [y, x] = query.split(",").map(Number);
    row = new Float64Array(TOKENS);
    row[1 + Math.floor(y * SIDE) * SIDE + Math.floor(x * SIDE)] = 1;
  }
  const fuse = { max: (a, b) => Math.max(a, b), min: (a, b) => Math.min(a, b), mean: (a, b) => a + b }[get.get("fusion") ?? "mean"];
  for (let l = LAYERS - 1; l >= start - 1; l--) {
    const next = new Float64Array(TOKENS);
    for (let q = 0; q < TOKENS; q++) {
      let entries = [];
      for (let k = 0; k < TOKENS; k++) {
        const of = (head) => all[((l * HEADS + head) * TOKENS + q) * TOKENS + k];
        entries.push([0, 1, 2].map(of).reduce(fuse) / ((get.get("fusion") ?? "mean") === "mean" ? HEADS : 1));
      }
      const order = entries.map((_, k) => k).sort((a, b) => entries[a] - entries[b] || a - b);
      for (const k of order.slice(0, Math.floor(discard * TOKENS))) entries[k] = 0;
      entries[q] += 1;
      const sum = entries.reduce((a, b) => a + b);
      for (let k = 0; k < TOKENS; k++) next[k] += (row[q] * entries[k]) / sum;
    }
    row = next;
  }
  return Array.from(row).slice(1);
}

const offHeads = (off) => new Set(off.flatMap(({ layer, part, head }) => (part === "head" ? [`${layer},${head}`] : part === "mlp" ? [] : [1, 2, 3].map((h) => `${layer},${h}`))));

export const answers = {
  answer(model, image) {
    const { logits, probabilities: values } = probabilities(model.name, image.seed, image.push);
    return { logits, probabilities: values, top: guesses(values, 5), label: image.label ? classes.indexOf(image.label) : null };
  },

  attention(model, image) {
    if (!model.attention) return NO_ATTENTION;
    return { arrays: { attention: ["F16", [LAYERS, HEADS, TOKENS, TOKENS], attention(image.seed)] }, meta: { grid: [SIDE, SIDE], prefix: 1, read_out_weights: readOut } };
  },

  row(model, image, get) {
    if (!model.attention) return NO_ATTENTION;
    const all = attention(image.seed);
    const query = get.get("query") ?? "readout";
    const [y, x] = query === "readout" ? [0, 0] : query.split(",").map((share) => Math.floor(Number(share) * SIDE));
    const token = query === "readout" ? 0 : 1 + y * SIDE + x;
    const arrays = {};
    for (let l = 0; l < LAYERS; l++) {
      const rows = [0, 1, 2].flatMap((head) => {
        const at = ((l * HEADS + head) * TOKENS + token) * TOKENS;
        return Array.from(all.subarray(at, at + TOKENS));
      });
      arrays[`layer_${l + 1}`] = ["F32", [HEADS, SIDE, SIDE], rows.filter((_, i) => i % TOKENS)];
      arrays[`prefix_${l + 1}`] = ["F32", [HEADS, 1], rows.filter((_, i) => i % TOKENS === 0)];
    }
    return { arrays, meta: { query: query === "readout" ? query : Array(LAYERS).fill([y, x]) } };
  },

  heads(model, image) {
    if (!model.attention) return NO_ATTENTION;
    const layers = Array.from({ length: LAYERS }, (_, l) => ({
      layer: l + 1, grid: [SIDE, SIDE], even_distance: 116,
      heads: [1, 2, 3].map((head) => ({ head, entropy: 0.5 + 0.4 * noise(image.seed, l, head), distance: 20 + 7 * l + 30 * noise(l, head, image.seed), sparsity: 0.2 + 0.4 * noise(head, l), prefix_mass: 0.3 * noise(l, head, 5) })),
    }));
    return { layers };
  },

  rollout(model, image, get) {
    if (!model.attention) return NO_ATTENTION;
    return { arrays: { map: ["F32", [SIDE, SIDE], rolled(attention(image.seed), get)] }, meta: {} };
  },

  explain(model, image, get) {
    const method = explanations.find(([id]) => id === get.get("method"));
    const [id, title, , over, signed] = method;
    const { probabilities: values } = probabilities(model.name, image.seed, image.push);
    const target = Number(get.get("target") ?? guesses(values, 1)[0].class);
    const side = over === "pixels" ? model.image_size : model.name === "cnn" ? 8 : SIDE;
    const map = Array.from({ length: side * side }, (_, i) => {
      const [y, x] = [(Math.floor(i / side) + 0.5) / side, ((i % side) + 0.5) / side];
      const bump = Math.exp(-(((x - 0.35 - 0.3 * noise(image.seed, 1)) / 0.25) ** 2) - ((y - 0.4 - 0.25 * noise(image.seed, 2)) / 0.2) ** 2);
      if (id === "random") return noise(i, 3);
      if (id === "centre") return Math.exp(-(((x - 0.5) / 0.2) ** 2) - ((y - 0.5) / 0.2) ** 2);
      const value = 0.02 * bump * (1 + noise(i, target)) + 0.003 * noise(i, id.length, target);
      return signed ? value * (noise(i, 9) - 0.35) : value;
    });
    const meta = { method: id, title, target: { class: target, name: classes[target], probability: values[target] }, lowest: Math.min(...map), highest: Math.max(...map), over, signed };
    return { arrays: { map: ["F32", [side, side], map] }, meta };
  },

  faithful(model, image, get) {
    const good = get.get("method") === "chefer" || get.get("method") === "grad-cam";
    return {
      metrics: [
        { id: "deletion", title: "deletion", higher_is_better: false, value: good ? 0.12 : 0.4, random: 0.38, centre: 0.3 },
        { id: "insertion", title: "insertion", higher_is_better: true, value: good ? 0.7 : 0.4, random: 0.42, centre: 0.5 },
      ],
      sentence: good ? "Better than random and than the centre on this image by both measures." : "No better than random on this image.",
    };
  },

  hash: (model) => ({ hash: createHash("sha256").update(model.name).digest("hex") }),

  depth(model, image, get) {
    if (!model.attention) return { refused: "A CNN has no tokens that the head could read after each layer, so there is no logit lens." };
    const { probabilities: values } = probabilities(model.name, image.seed, image.push);
    const target = Number(get.get("target") ?? guesses(values, 1)[0].class);
    const lens = [];
    const lensClass = [];
    const layers = Array.from({ length: LAYERS }, (_, l) => {
      for (let i = 0; i < SIDE * SIDE; i++) {
        const [y, x] = [Math.floor(i / SIDE) / SIDE, (i % SIDE) / SIDE];
        const bump = Math.exp(-(((x - 0.5) / 0.3) ** 2) - ((y - 0.5) / 0.25) ** 2);
        const p = Math.min(0.95, ((l + 1) / LAYERS) ** 2 * bump * (0.7 + 0.3 * noise(i, l)));
        lens.push(p);
        lensClass.push(p > 0.25 ? target : Math.floor(classes.length * noise(i % 3, Math.floor(y * 4), l)));
      }
      const right = l > 6;
      const kind = right ? target : (target + l + 1) % classes.length;
      const p = right ? values[target] * (0.5 + l / 24) : 0.1 + 0.02 * l;
      return { layer: l + 1, read_out: { class: kind, name: classes[kind], probability: p, target_probability: right ? p : 0.02 * l }, similarity: 0.1 + 0.9 * ((l + 1) / LAYERS) ** 2, distance: 40 + 6 * l, entropy: 0.9 - 0.02 * l };
    });
    return { arrays: { lens: ["F32", [LAYERS, SIDE, SIDE], lens], lens_class: ["I32", [LAYERS, SIDE, SIDE], lensClass] }, meta: { target: { class: target, name: classes[target] }, layers } };
  },

  intervene(model, image, _, { off, maps }) {
    const before = probabilities(model.name, image.seed, image.push).probabilities;
    const after = probabilities(model.name, image.seed, Math.min(0.9, off.length / 12)).probabilities;
    const meta = { before: { top: guesses(before, 5), probabilities: before }, after: { top: guesses(after, 5), probabilities: after }, means: "mean over 30 images of made-up-photos" };
    if (!model.attention || !maps) return { arrays: {}, meta };
    const changed = attention(image.seed, offHeads(off));
    return {
      arrays: {
        attention: ["F16", [LAYERS, HEADS, TOKENS, TOKENS], changed],
        map_before: ["F32", [SIDE, SIDE], rolled(attention(image.seed))],
        map_after: ["F32", [SIDE, SIDE], rolled(changed)],
      },
      meta,
    };
  },
};
