/** @import { Model } from "../core/types.js" */
/** @import { Rows, Source } from "../attention/source.js" */
import { inputPath } from "../core/api.js";
import { announce, fill, h, showError, slider } from "../core/dom.js";
import { attentive } from "../core/lab.js";
import { cellAt, picture } from "../core/maps.js";
import { onPreview, setPreview, shownHead, shownQuery } from "../core/preview.js";
import { go, place } from "../core/state.js";
import { attentionPanel } from "../attention/panel.js";
import { openAttention } from "../attention/source.js";
import { meet, openScene, SIDE, slabsOf } from "./scene.js";
import { Orbit, project } from "./orbit.js";
import { steer } from "./steer.js";

const chosen = { spread: 1 };

/** Layers, heads and patches as one scene. @param {HTMLElement} root */
export function mount(root) {
  const model = attentive();
  if (!model) {
    fill(root, h("p", { class: "note" }, "No model here has attention, and the scene is built of it."));
    return { change: () => {} };
  }
  const canvas = h("canvas", { tabindex: 0, role: "application", "data-figure": `Layers and heads of ${model.title} in space` });
  const scene = openScene(canvas);
  return scene ? spaceView(root, model, canvas, scene) : flatView(root, model);
}

/** @param {HTMLElement} root @param {Model} model */
function flatView(root, model) {
  const panel = attentionPanel(model);
  fill(root, h("p", { class: "note flat" }, "This browser has no WebGL2, which the 3-D view needs. The same maps are shown here side by side."), panel.element);
  panel.load();
  const stop = onPreview(() => panel.preview());
  return { change: panel.change, leave: stop };
}

/** @param {HTMLElement} root @param {Model} model @param {HTMLCanvasElement} canvas @param {NonNullable<ReturnType<typeof openScene>>} scene */
function spaceView(root, model, canvas, scene) {
  const attention = /** @type {NonNullable<Model["attention"]>} */ (model.attention);
  let slabs = slabsOf(model, chosen.spread);
  const orbit = new Orbit([0, 0, 0], 20);
  const pins = h("div", { "aria-hidden": "true" });
  const said = h("p", { class: "small" });
  const trouble = h("div");
  const spread = slider("Between layers", { min: 0.3, max: 2, step: 0.05, value: chosen.spread, show: (value) => value.toFixed(2), input: (value) => {
    chosen.spread = value;
    slabs = slabsOf(model, value);
    fit();
  } });
  const stage = h("div", { class: "scene" }, canvas, pins);
  fill(root, h("div", { class: "bar" }, h("div", {}, h("h2", {}, model.title), h("p", { class: "small quiet" }, "Drag to turn, scroll to come closer, click a head to choose it, click the picture to ask from a patch.")),
    h("div", { class: "row" }, spread.element, h("button", { onclick: () => fit() }, "Reset"))), trouble,
    stage, said);

  const aspect = () => canvas.clientWidth / canvas.clientHeight;
  /** Everything in view, from the first direction. */
  const fit = () => {
    const half = SIDE * 0.6;
    orbit.fit(slabs.flatMap(({ offset: [x, y, z] }) => [-half, half].flatMap((dy) => [-half, half].map((dz) => /** @type {[number, number, number]} */ ([x, y + dy, z + dz])))), aspect());
    draw();
  };
  /** @type {Source|null} */
  let source = null;
  /** @type {Rows|null} */
  let rows = null;
  let due = 0;
  const draw = () => (due ||= requestAnimationFrame(() => {
    due = 0;
    if (!rows) return;
    const head = shownHead(model.name);
    const query = shownQuery();
    scene.draw(orbit, slabs, head, query);
    putPins(pins, canvas, orbit, slabs, head.layer);
    const role = model.atlas?.[head.layer - 1]?.[head.head - 1];
    const words = `Layer ${head.layer}, head ${head.head}${role ? `: ${role.label}` : ""}; from ${query ? "the marked patch" : attention.read_out}.`;
    fill(said, words);
    canvas.setAttribute("aria-label", `${attention.layers} layers of heads in space, ${words} Arrow keys turn the scene, plus and minus zoom, 0 resets.`);
  }));
  const ask = async () => {
    if (!source) return;
    const query = shownQuery();
    const now = await source.rows(query);
    if (JSON.stringify(query) !== JSON.stringify(shownQuery())) return;
    rows = now;
    scene.maps(rows, slabs);
    draw();
  };
  const load = async () => {
    const { image } = place;
    stage.classList.add("busy");
    try {
      const [opened, shown] = await Promise.all([openAttention(model, image), picture(inputPath(image, model.name))]);
      if (image !== place.image) return;
      fill(trouble);
      source = opened;
      scene.picture(shown);
      await ask();
    } catch (error) {
      if (image === place.image) showError(trouble, error);
    } finally {
      if (image === place.image) stage.classList.remove("busy");
    }
  };
  const found = (/** @type {number} */ x, /** @type {number} */ y) => meet(orbit.eye, orbit.ray(x, y, aspect()), slabs);
  steer(canvas, () => orbit, {
    draw, fit,
    pick: (x, y) => {
      const hit = found(x, y);
      setPreview({ head: undefined });
      if (!hit) return;
      if (hit.slab.layer) {
        go({ model: model.name, layer: hit.slab.layer, head: hit.slab.head });
        announce(`Layer ${hit.slab.layer}, head ${hit.slab.head}`);
      } else {
        const [row, column] = cellAt(hit.slab.grid, hit.y, hit.x);
        go({ query: [Number(((row + 0.5) / hit.slab.grid[0]).toFixed(4)), Number(((column + 0.5) / hit.slab.grid[1]).toFixed(4))] });
      }
    },
    hover: (at) => {
      const hit = at && found(...at);
      setPreview({ head: hit?.slab.layer ? { model: model.name, layer: hit.slab.layer, head: hit.slab.head } : undefined });
    },
  });
  let wide = 0;
  const resized = new ResizeObserver(() => {
    if (wide !== canvas.clientWidth) (wide = canvas.clientWidth), fit();
  });
  resized.observe(canvas);
  let query = JSON.stringify(shownQuery());
  const stop = onPreview(() => {
    const now = JSON.stringify(shownQuery());
    if (now !== query) (query = now), ask();
    else draw();
  });
  load();
  return {
    /** @param {Set<string>} changed */
    change: (changed) => (changed.has("image") ? load() : changed.has("query") ? ask() : draw()),
    leave: () => {
      stop();
      resized.disconnect();
      scene.close();
    },
  };
}

/** Numbers of layers above the slabs. @param {HTMLElement} pins @param {HTMLCanvasElement} canvas @param {Orbit} orbit @param {import("./scene.js").Slab[]} slabs @param {number} layer */
function putPins(pins, canvas, orbit, slabs, layer) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const camera = orbit.matrix(width / height);
  const axis = new Map(slabs.map((slab) => [slab.layer, slab.offset[0]]));
  // Along the edge that is nearest at first.
  const y = Math.min(...slabs.map((slab) => slab.offset[1])) - SIDE * 0.62;
  const z = Math.max(...slabs.map((slab) => slab.offset[2])) + SIDE * 0.62;
  fill(pins, [...axis].map(([number, x]) => {
    const [px, py, depth] = project(camera, [x, y, number ? z : SIDE * 0.5]);
    if (depth <= 0) return null;
    return h("span", { class: `pin${number === layer ? " chosen" : ""}`, style: { left: `${((px + 1) / 2) * width}px`, top: `${((1 - py) / 2) * height}px` } }, number || "image");
  }));
}
