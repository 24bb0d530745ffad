/** @import { Heads, Model } from "../core/types.js" */
/** @import { Rows } from "./source.js" */
import { h } from "../core/dom.js";
import { paint } from "../core/maps.js";
import { percent, quantile, range } from "../core/numbers.js";
import { setPreview } from "../core/preview.js";
import { go } from "../core/state.js";

/**
 * Whether each head has its own scale of colours, one that ends below its few highest weights, or all the same.
 * @typedef {"own"|"clipped"|"common"} Scale
 */

/** Share of a head's patches that a clipped scale tells apart; a few sinks would darken all others. */
const CLIPPED = 0.97;

/** Where a head's colours end. @param {Float32Array} values @param {Rows} rows @param {Scale} scale */
export function highest(values, rows, scale) {
  if (scale === "common") return Math.max(...rows.map((row) => range(row.values)[1]));
  return scale === "clipped" ? quantile(values, CLIPPED) : range(values)[1];
}

/** Small multiples: layers from left to right, heads from top to bottom (on a phone the other way round). @param {Model} model */
export function headGrid(model) {
  const attention = /** @type {NonNullable<Model["attention"]>} */ (model.attention);
  const most = Math.max(...attention.heads);
  const element = h("div", { class: "heads", role: "group", "aria-label": `Heads of ${model.title}`, "data-figure": "What each head attends to; layers from left to right, heads from top to bottom", style: { "--layers": attention.layers, "--heads": most, "--cell": `${Math.max(5, Math.min(7, 32 / attention.layers))}rem` } });
  /** @type {{layer: number, head: number, button: HTMLButtonElement, canvas: HTMLCanvasElement}[]} */
  const cells = [];
  for (let layer = 1; layer <= attention.layers; layer++) {
    element.append(h("span", { class: "layer", style: { "--l": layer + 1, "--h": 1 }, "aria-hidden": "true" }, layer));
    for (let head = 1; head <= attention.heads[layer - 1]; head++) {
      const canvas = h("canvas", { width: 1, height: 1 });
      const role = model.atlas?.[layer - 1]?.[head - 1];
      const button = h("button", {
        class: "head", "data-layer": layer, "data-head": head, style: { "--l": layer + 1, "--h": head + 1 },
        title: `Layer ${layer}, head ${head}${role ? `: ${role.label}` : ""}`, "aria-label": `Layer ${layer}, head ${head}`,
        onclick: () => {
          setPreview({ head: undefined });
          go({ model: model.name, layer, head });
        },
        onpointerenter: (/** @type {PointerEvent} */ event) => event.pointerType === "mouse" && setPreview({ head: { model: model.name, layer, head } }),
      }, canvas);
      cells.push({ layer, head, button, canvas });
      element.append(button);
    }
  }
  for (let head = 1; head <= most; head++) element.append(h("span", { class: "layer", style: { "--l": 1, "--h": head + 1 }, "aria-hidden": "true" }, most > 1 || head > 1 ? head : ""));
  element.append(h("span", { class: "layer corner", style: { "--l": 1, "--h": 1 }, "aria-hidden": "true" }, ""));
  element.addEventListener("pointerleave", () => setPreview({ head: undefined }));

  /** @param {Rows} rows @param {Scale} scale */
  const draw = (rows, scale) => {
    const common = scale === "common" ? highest(new Float32Array(0), rows, scale) : 0;
    for (const { layer, head, canvas } of cells) {
      const [height, width] = attention.grids[layer - 1];
      const values = rows[layer - 1].values.subarray((head - 1) * height * width, head * height * width);
      paint(canvas, { values, rows: height, columns: width, low: 0, high: common || highest(values, rows, scale), colors: "inferno" });
    }
  };
  /** Words for who does not see the colours; not while the pointer moves. @param {Rows} rows @param {Heads|null} numbers */
  const describe = (rows, numbers) => {
    for (const { layer, head, button } of cells) {
      const [height, width] = attention.grids[layer - 1];
      const values = rows[layer - 1].values.subarray((head - 1) * height * width, head * height * width);
      let best = 0;
      for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
      const role = model.atlas?.[layer - 1]?.[head - 1]?.label;
      const entropy = numbers?.layers[layer - 1]?.heads[head - 1]?.entropy;
      button.setAttribute("aria-label", `Layer ${layer}, head ${head}${role ? `, ${role}` : ""}: most on row ${Math.floor(best / width) + 1}, column ${(best % width) + 1}, ${percent(values[best])}${entropy === undefined ? "" : `; entropy ${entropy.toFixed(2)}`}`);
    }
  };
  /** @param {{layer: number, head: number}} chosen */
  const mark = (chosen) => {
    for (const { layer, head, button } of cells) button.setAttribute("aria-pressed", String(layer === chosen.layer && head === chosen.head));
  };
  return { element, draw, describe, mark };
}
