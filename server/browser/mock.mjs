// The lab's interface with made-up models, so that the page can be worked on and tested without the program:
//   node mock.mjs [PORT]
import { createServer } from "node:http";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { png, safetensors } from "./mock/files.mjs";
import { attacks, norms, Job } from "./mock/attacks.mjs";
import { answers } from "./mock/answers.mjs";
import { classes, explanations, models, scene } from "./mock/models.mjs";

const PAGE = fileURLToPath(new URL("../page/", import.meta.url));
const COUNT = 30;
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };
const POLICY = "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; connect-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/** Images that were uploaded or made: id → { name, seed, bytes }. */
const made = new Map();
const jobs = new Map();

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function imageOf(id) {
  if (made.has(id)) return { id, label: null, width: 224, height: 224, ...made.get(id) };
  const number = /^d(\d+)$/.exec(id)?.[1];
  if (!number || number < 1 || number > COUNT) throw new Refused(404, `There is no image ${id}. Choose one from the strip.`);
  return { id, seed: Number(number), name: `photo-${number}.png`, label: classes[number % classes.length], width: 320, height: 240 };
}

const lab = () => ({
  ready: true, version: "0.0.0", device: "mock", precision: "f32", command: "node mock.mjs", run: "archaeo-out", models,
  methods: explanations.map(([id, title, summary, over, signed, targeted]) => ({
    id, title, summary, kind: ["random", "centre"].includes(id) ? "baseline" : "explanation", over, signed, targeted, cost: "one pass",
    paper: id === "rollout" ? { citation: "Abnar and Zuidema, 2020", url: "https://arxiv.org/abs/2005.00928" } : null,
  })),
  attacks, norms, images: { count: COUNT, name: "made-up-photos", labels: true }, first: "d1", limits: { body: 20971520, pixels: 40000000 },
});

function picture(image, width, height) {
  return image.bytes ?? png(width, height, image.push ? pushed(image) : scene(image.seed));
}

const pushed = ({ seed, push, size }) => {
  const draw = scene(seed);
  return (x, y) => draw(x, y).map((v, c) => v + size * push * Math.sign(Math.sin(211 * x + 50 * c) * Math.cos(173 * y)));
};

async function answer(request, url, send) {
  const path = url.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  const get = url.searchParams;
  if (request.method !== "GET" && request.headers["x-archaeo"] !== "1") throw new Refused(403, "This request does not come from the lab's page. Reload it.");
  if (path[1] === "lab") return send(lab());
  if (path[1] === "images" && !path[2] && request.method === "GET") {
    const from = Number(get.get("from") ?? 1);
    const images = Array.from({ length: Math.min(Number(get.get("count") ?? 60), COUNT - from + 1) }, (_, i) => imageOf(`d${from + i}`));
    return send({ count: COUNT, images: images.map(({ id, name, label }) => ({ id, name, label })) });
  }
  if (path[1] === "images" && request.method === "POST") {
    const bytes = await body(request);
    if (!["89504e47", "ffd8ffe0", "ffd8ffe1", "52494646"].includes(bytes.subarray(0, 4).toString("hex"))) {
      throw new Refused(415, `${get.get("name")} is not an image that can be read. Choose a JPEG, PNG or WebP file.`);
    }
    const id = `u${createHash("sha256").update(bytes).digest("hex").slice(0, 12)}`;
    made.set(id, { name: get.get("name"), seed: 3 + (bytes.length % 23), bytes });
    return send(facts(id));
  }
  if (path[1] === "images" && path[3] === "input") {
    const side = models.find((model) => model.name === path[4].replace(/\.png$/, "")).image_size;
    return send(picture(imageOf(path[2]), side, side), "image/png");
  }
  if (path[1] === "images" && path[2].endsWith(".png")) {
    const side = Number(get.get("side") ?? 320);
    return send(picture(imageOf(path[2].slice(0, -4)), side, Math.round(side * 0.75)), "image/png");
  }
  if (path[1] === "images") return send(facts(path[2]));
  if (path[1] === "attacks") return attack(request, path, send);
  const model = models.find((model) => model.name === path[2]);
  if (!model) throw new Refused(404, `There is no model ${path[2]}.`);
  const posted = request.method === "POST" ? JSON.parse(await body(request)) : {};
  const question = answers[path[3]];
  if (!question) throw new Refused(404, `There is no question ${path[3]}.`);
  const result = question(model, imageOf(posted.image ?? get.get("image") ?? "d1"), get, posted);
  if (result.refused) throw new Refused(409, result.refused);
  return result.arrays ? send(safetensors(result.arrays, result.meta), "application/octet-stream") : send(result);
}

function facts(id) {
  const { name, label, width, height } = imageOf(id);
  const index = label ? classes.indexOf(label) : null;
  return { id, name, label, label_index: { vit: index, cnn: index }, width, height, hash: createHash("sha256").update(id).digest("hex") };
}

async function attack(request, path, send) {
  if (request.method === "POST") {
    const question = JSON.parse(await body(request));
    const job = new Job(`j${jobs.size + 1}`, question, imageOf(question.image));
    job.keep = (id, image) => made.set(id, image);
    jobs.set(job.id, job);
    return send({ job: job.id });
  }
  const job = jobs.get(path[2]);
  if (!job) throw new Refused(404, `There is no attack ${path[2]}. Start it again.`);
  if (request.method === "DELETE") return job.stop(), send({});
  if (path[3] === "events") return send(job);
  const push = job.pushAt(Number(path[4].replace(/\.png$/, "")));
  return send(png(224, 224, pushed({ seed: job.image.seed, push, size: job.question.size })), "image/png");
}

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  const headers = { "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff" };
  const send = (what, type) => {
    if (what instanceof Job) return what.stream(response, headers);
    const bytes = type ? what : JSON.stringify(what);
    response.writeHead(200, { ...headers, "Content-Type": type ?? "application/json", "Cache-Control": "no-store" });
    response.end(bytes);
  };
  try {
    if (url.pathname.startsWith("/api/")) return await answer(request, url, send);
    const file = url.pathname === "/" ? "index.html" : normalize(url.pathname).replace(/^(\.\.[/\\])+/, "");
    return send(await readFile(join(PAGE, file)), TYPES[extname(file)] ?? "application/octet-stream");
  } catch (error) {
    const status = error.status ?? (error.code === "ENOENT" ? 404 : 500);
    if (status === 500) console.error(error);
    response.writeHead(status, { ...headers, "Content-Type": "application/json" });
    response.end(JSON.stringify({ error: error.message }));
  }
});

const port = Number(process.argv[2] ?? 7301);
server.listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
