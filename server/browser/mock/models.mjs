// Two made-up models: a ViT whose heads follow simple rules on a made-up image, and a CNN.
const NAMES = ["tench", "goldfish", "great white shark", "hen", "robin", "bulbul", "jay", "axolotl", "bullfrog", "terrapin",
  "iguana", "agama", "scorpion", "tarantula", "peacock", "lorikeet", "hummingbird", "jellyfish", "snail", "king crab",
  "flamingo", "pelican", "sea lion", "beagle", "whippet", "collie", "red fox", "tabby", "lynx", "lion"];
export const classes = NAMES;

const LAYERS = 12;
const HEADS = 3;
const SIDE = 14;
const TOKENS = SIDE * SIDE + 1;

const ROLES = ["previous patch", "colour", "local", "sink", "edge", "global", "object"];

export const explanations = [
  ["raw-attention", "raw attention", "attention of the read-out in the last layer, mean over heads", "tokens", false, false, ["vit"]],
  ["rollout", "rollout", "attention multiplied through all layers, half of it for the residual path", "tokens", false, false, ["vit"]],
  ["chefer", "attention relevance", "attention that raises the class's logit, added up along the residual path", "tokens", false, true, ["vit"]],
  ["grad-cam", "Grad-CAM", "channels of the last layer, weighted by their mean gradient", "tokens", false, true, ["vit", "cnn"]],
  ["integrated-gradients", "integrated gradients", "gradient along the way from black to the image, times the pixel", "pixels", true, true, ["vit", "cnn"]],
  ["saliency", "saliency", "size of the gradient at each pixel", "pixels", false, true, ["vit", "cnn"]],
  ["random", "random", "a map drawn at random", "tokens", false, false, ["vit", "cnn"]],
  ["centre", "centre", "a bump in the middle", "tokens", false, false, ["vit", "cnn"]],
];

const verdict = (score, yes) => ({ score, low: score - 0.03, high: score + 0.03, n: 256, higher_is_better: false, metric: "deletion", over_random: yes, over_centre: yes === "yes" ? "cannot be told" : "no", source: "study of archaeo-out" });

export const models = [
  {
    name: "vit", title: "ViT-Ti/16", describe: "a ViT with 12 layers of 3 heads, 5.7 M parameters", weights: "vit.safetensors", parameters: 5717416, image_size: 224, classes,
    attention: { layers: LAYERS, heads: Array(LAYERS).fill(HEADS), grids: Array(LAYERS).fill([SIDE, SIDE]), prefix: 1, tokens: Array(LAYERS).fill(TOKENS), whole: true, windows: false, cascade: false, read_out: "the class token" },
    blocks: 0, methods: explanations.map(([id]) => id),
    verdicts: { chefer: verdict(0.41, "yes"), rollout: verdict(0.12, "no"), "grad-cam": verdict(0.2, "cannot be told") },
    atlas: Array.from({ length: LAYERS }, (_, l) => Array.from({ length: HEADS }, (_, h) => ({ label: ROLES[(3 * l + h) % ROLES.length] }))),
  },
  {
    name: "cnn", title: "ResNet-20", describe: "a ResNet with 9 blocks, 0.27 M parameters", weights: "cnn.safetensors", parameters: 272474, image_size: 32, classes,
    attention: null, blocks: 9, methods: explanations.filter((row) => row[6].includes("cnn")).map(([id]) => id),
    verdicts: { "grad-cam": verdict(0.36, "yes") }, atlas: null,
  },
];

/** A repeatable number in [0, 1) from numbers. */
export function noise(...parts) {
  let state = 2166136261;
  for (const part of parts) state = Math.imul(state ^ Math.round(part * 7919 + 13), 16777619) >>> 0;
  state ^= state >>> 15;
  return (Math.imul(state, 2246822519) >>> 0) / 2 ** 32;
}

/** A scene of an animal-like blob on a ground; `seed` is the image's number. */
export function scene(seed) {
  const [cx, cy, size] = [0.35 + 0.3 * noise(seed, 1), 0.4 + 0.25 * noise(seed, 2), 0.18 + 0.1 * noise(seed, 3)];
  const hue = noise(seed, 4);
  return (x, y) => {
    const sky = y < 0.55 + 0.05 * Math.sin(9 * x + 6 * hue);
    const grain = 14 * (noise(Math.floor(90 * x), Math.floor(90 * y), seed) - 0.5);
    const ground = sky ? [120 + 70 * y, 150 + 40 * y, 190 - 30 * y] : [96 + 40 * hue, 104 - 30 * y + 30, 60];
    const d = Math.hypot((x - cx) / 1.5, y - cy) / size;
    const head = Math.hypot(x - cx - 1.4 * size, y - cy + 0.7 * size) / (0.5 * size);
    if (d < 1 || head < 1) {
      const light = 1.15 - 0.5 * (y - cy + size) / size + 0.15 * Math.sin(60 * x);
      return [210 * (0.4 + 0.6 * hue) * light, 120 * light, 70 * (1 - 0.5 * hue) * light].map((v) => v + grain);
    }
    return ground.map((v) => v + grain);
  };
}

const kept = new Map();

/** Attention (layers, heads, tokens, tokens) for image `seed`, heads of `off` ("layer,head") even. */
export function attention(seed, off = new Set()) {
  const key = `${seed} ${[...off].join(" ")}`;
  if (!kept.has(key)) kept.set(key, computed(seed, off));
  if (kept.size > 12) kept.delete(kept.keys().next().value);
  return kept.get(key);
}

function computed(seed, off) {
  const draw = scene(seed);
  const colors = Array.from({ length: SIDE * SIDE }, (_, i) => draw(((i % SIDE) + 0.5) / SIDE, (Math.floor(i / SIDE) + 0.5) / SIDE));
  const all = new Float32Array(LAYERS * HEADS * TOKENS * TOKENS);
  for (let l = 0; l < LAYERS; l++) {
    for (let head = 0; head < HEADS; head++) {
      const kind = (3 * l + head) % 7;
      for (let q = 0; q < TOKENS; q++) {
        const at = ((l * HEADS + head) * TOKENS + q) * TOKENS;
        let sum = 0;
        for (let k = 0; k < TOKENS; k++) {
          const score = off.has(`${l + 1},${head + 1}`) ? 0 : affinity(kind, l, q, k, colors);
          sum += all[at + k] = Math.exp(score);
        }
        for (let k = 0; k < TOKENS; k++) all[at + k] /= sum;
      }
    }
  }
  return all;
}

function affinity(kind, layer, q, k, colors) {
  if (k === 0) return kind === 3 ? 6 : 1;
  const [ky, kx] = [Math.floor((k - 1) / SIDE), (k - 1) % SIDE];
  const warm = (colors[k - 1][0] - colors[k - 1][2]) / 60;
  if (q === 0) return warm * (0.3 + layer / 6) + noise(k, layer, kind);
  const [qy, qx] = [Math.floor((q - 1) / SIDE), (q - 1) % SIDE];
  const far = Math.hypot(qy - ky, qx - kx);
  if (kind === 0) return -1.2 * Math.hypot(qy - ky, qx - 1 - kx);
  if (kind === 1) return -Math.hypot(...colors[q - 1].map((v, c) => v - colors[k - 1][c])) / 14;
  if (kind === 2) return -0.8 * far;
  if (kind === 4) return -1.1 * Math.abs(qy - ky);
  if (kind === 6) return warm * 1.3 - 0.1 * far;
  return 0.4 * noise(k, layer, kind);
}

export const geometry = { LAYERS, HEADS, SIDE, TOKENS };

/** Probabilities of `model` on image `seed`; `push` in [0, 1] moves them to another class. */
export function probabilities(model, seed, push = 0) {
  const offset = model === "cnn" ? 7 : 0;
  const truth = seed % classes.length;
  const logits = classes.map((_, k) => 2.5 * noise(seed, k, offset) + (k === truth ? 5 : 0) * (1 - 2 * push) + (k === (truth + 3) % classes.length ? 6 * push : 0));
  const sum = logits.reduce((a, v) => a + Math.exp(v), 0);
  return { logits, probabilities: logits.map((v) => Math.exp(v) / sum) };
}

export function guesses(values, count) {
  const order = values.map((_, k) => k).sort((a, b) => values[b] - values[a]).slice(0, count);
  return order.map((k) => ({ class: k, name: classes[k], probability: values[k], logit: Math.log(values[k]) }));
}
