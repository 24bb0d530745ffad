/** @import { Model, Tensor } from "../core/types.js" */
/** @import { Heat } from "../core/maps.js" */
import { fill, h, segments } from "../core/dom.js";
import { drawOver, paint, valueAt } from "../core/maps.js";
import { firstName, percent, range } from "../core/numbers.js";
import { go, place } from "../core/state.js";
import { colorBar } from "../charts/colorbar.js";
import { settings } from "../attention/settings.js";
import { classColors, paintClasses } from "./classes.js";

const SECONDS_PER_LAYER = 0.35;
/** @type {{what: "target"|"class"}} */
const chosen = { what: "target" };

/** What the head would read from each patch after each layer. @param {Model} model */
export function lensPanel(model) {
  const canvas = h("canvas", { class: "map", role: "img", "aria-label": "Not computed yet", "data-figure": "Logit lens" });
  const bar = colorBar("inferno");
  const classes = h("ul", { class: "classes" });
  const reading = h("p", { class: "small number reading" });
  const title = h("h3");
  const layers = h("div", { class: "layers", role: "group", "aria-label": "Layers" });
  const play = h("button", { class: "plain", onclick: () => toggle() }, "Play");
  const element = h("div", {},
    h("div", { class: "row heading" }, title, play),
    segments("What is shown of each patch", [["target", "Class asked about"], ["class", "Most probable"]], chosen.what, (value) => ((chosen.what = value), draw())),
    canvas, bar.element, classes, reading, layers, h("p", { class: "note" }, "Small maps have one scale, the large one its own."));

  /** @type {{lens: Tensor, kinds: Tensor, image: HTMLImageElement, target: {class: number, name: string}}|null} */
  let data = null;
  /** @type {HTMLButtonElement[]} */
  let buttons = [];
  let timer = 0;

  const count = () => data?.lens.shape[0] ?? 1;
  const layer = () => Math.min(place.layer, count());
  /** @param {Tensor} tensor @param {number} at */
  const slice = ({ data: values, shape: [, rows, columns] }, at) => values.subarray((at - 1) * rows * columns, at * rows * columns);
  const high = () => (data ? range(data.lens.data)[1] : 1);
  /** On the layer's own scale, or that of all layers. @param {number} at @param {boolean} own @returns {Heat} */
  const heat = (at, own) => {
    const { lens } = /** @type {NonNullable<typeof data>} */ (data);
    return { values: slice(lens, at), rows: lens.shape[1], columns: lens.shape[2], low: 0, high: own ? range(slice(lens, at))[1] : high(), colors: "inferno" };
  };

  const draw = () => {
    if (!data) return;
    const at = layer();
    fill(title, `Logit lens, layer ${at}`);
    const byClass = chosen.what === "class";
    bar.element.hidden = byClass;
    classes.hidden = !byClass;
    const name = firstName(data.target.name);
    if (byClass) {
      const colors = classColors(data.kinds.data, data.target.class);
      paintClasses(canvas, data.image, slice(data.kinds, at), data.kinds.shape[1], data.kinds.shape[2], colors);
      fill(classes, [...colors].map(([index, color]) => h("li", {}, h("span", { class: "chip", style: { "--color": color } }), firstName(model.classes[index] ?? `output ${index}`))), h("li", {}, h("span", { class: "chip other" }), "others"));
    } else {
      drawOver(canvas, data.image, heat(at, true), settings.manner);
      bar.set("0", percent(heat(at, true).high), name);
    }
    const [, best] = range(slice(data.lens, at));
    canvas.setAttribute("aria-label", `Logit lens after layer ${at}: ${name} has at most ${percent(best)} at a patch.`);
    canvas.dataset.figure = byClass ? `Most probable class per patch after layer ${at}` : `Probability of ${name} per patch after layer ${at}`;
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(index + 1 === at)));
    fill(reading, "Point at a patch to read it.");
  };
  canvas.addEventListener("pointermove", (event) => {
    if (!data) return;
    const box = canvas.getBoundingClientRect();
    const at = heat(layer(), true);
    const { row, column, value } = valueAt(at, (event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width);
    const kind = slice(data.kinds, layer())[row * at.columns + column];
    fill(reading, `row ${row + 1}, column ${column + 1}: ${firstName(data.target.name)} ${percent(value)}; most probable ${firstName(model.classes[kind] ?? `output ${kind}`)}`);
  });

  const pause = () => {
    clearInterval(timer);
    timer = 0;
    fill(play, "Play");
  };
  const toggle = () => {
    if (timer) return pause();
    if (layer() >= count()) go({ layer: 1 });
    fill(play, "Pause");
    timer = window.setInterval(() => {
      go({ layer: layer() + 1 });
      if (layer() >= count()) pause();
    }, 1000 * SECONDS_PER_LAYER);
  };
  return {
    element, draw, pause,
    /** @param {Tensor} lens @param {Tensor} kinds @param {HTMLImageElement} image @param {{class: number, name: string}} target */
    open: (lens, kinds, image, target) => {
      data = { lens, kinds, image, target };
      buttons = Array.from({ length: count() }, (_, index) => {
        const small = h("canvas");
        paint(small, heat(index + 1, false));
        return h("button", { "aria-label": `Layer ${index + 1}`, title: `Layer ${index + 1}`, onclick: () => (pause(), go({ layer: index + 1 })) }, small);
      });
      fill(layers, buttons);
      draw();
    },
  };
}
