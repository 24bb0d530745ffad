/** @import { Model } from "../core/types.js" */
/** @import { Off } from "./state.js" */
import { h } from "../core/dom.js";
import { keyOf, offs, tool } from "./state.js";

/** @type {Record<string, string>} */
const MARKS = { zero: "0", mean: "x̄", image: "P" };
/** @type {Record<string, string>} */
const WORDS = { zero: "off", mean: "at its mean", image: "from another image" };

/**
 * A matrix of switches: layers from left to right, parts from top to bottom. Drag to switch several.
 * @param {Model} model
 * @param {() => void} changed
 */
export function switchMatrix(model, changed) {
  const parts = partsOf(model);
  const count = model.attention?.layers ?? model.blocks;
  const element = h("div", { class: "switches", role: "group", "aria-label": `Switches of ${model.title}`, style: { "--layers": count } });
  /** @type {{at: Omit<Off, "by">, button: HTMLButtonElement, name: string}[]} */
  const buttons = [];
  for (let layer = 1; layer <= count; layer++) element.append(h("span", { class: "layer", "aria-hidden": "true", style: { "--l": layer + 1, "--h": 1 } }, layer));
  element.append(h("span", { class: "part", style: { "--l": 1, "--h": 1 } }, model.attention ? "layer" : "block"));
  parts.forEach(({ part, head, name }, row) => {
    element.append(h("span", { class: "part", "aria-hidden": "true", style: { "--l": 1, "--h": row + 2 } }, name));
    for (let layer = 1; layer <= count; layer++) {
      if (head && head > (model.attention?.heads[layer - 1] ?? 0)) continue;
      const at = { layer, part, ...(head ? { head } : {}) };
      const button = h("button", { class: "switch", "data-key": keyOf(at), style: { "--l": layer + 1, "--h": row + 2 } });
      buttons.push({ at, button, name });
      element.append(button);
    }
  });

  /** What a drag does to all it passes. @type {"on"|"off"|null} */
  let dragging = null;
  const of = offs(model.name);
  /** @param {Omit<Off, "by">} at @param {"on"|"off"} to */
  const turn = (at, to) => {
    // Only a head can be taken from another image.
    const by = tool.by === "image" && (at.part !== "head" || !tool.image) ? "mean" : tool.by;
    if (to === "off") of.set(keyOf(at), { ...at, by: by === "image" ? { image: /** @type {string} */ (tool.image) } : by });
    else of.delete(keyOf(at));
    show();
    changed();
  };
  const under = (/** @type {PointerEvent} */ event) => {
    const target = document.elementFromPoint(event.clientX, event.clientY);
    return buttons.find(({ button }) => button === target);
  };
  element.addEventListener("pointerdown", (event) => {
    const found = event.pointerType === "mouse" && event.button === 0 ? under(event) : null;
    if (!found) return;
    dragging = of.has(keyOf(found.at)) ? "on" : "off";
    turn(found.at, dragging);
  });
  element.addEventListener("pointermove", (event) => {
    const found = dragging && event.buttons ? under(event) : null;
    if (found && dragging && of.has(keyOf(found.at)) !== (dragging === "off")) turn(found.at, dragging);
  });
  addEventListener("pointerup", () => (dragging = null));
  // Fingers and keys click; a mouse has been answered when it went down.
  element.addEventListener("click", (event) => {
    const found = buttons.find(({ button }) => button === event.target);
    if (!found || /** @type {PointerEvent} */ (event).pointerType === "mouse") return;
    turn(found.at, of.has(keyOf(found.at)) ? "on" : "off");
  });

  const show = () => {
    for (const { at, button, name } of buttons) {
      const off = of.get(keyOf(at));
      const kind = !off ? "" : typeof off.by === "string" ? off.by : "image";
      button.className = off ? `switch off ${kind}` : "switch";
      button.textContent = MARKS[kind] ?? "";
      const state = off ? WORDS[kind] : "on";
      button.setAttribute("aria-pressed", String(!off));
      button.setAttribute("aria-label", `${model.attention ? `Layer ${at.layer}, ${name}` : `Block ${at.layer}`}: ${state}`);
      button.title = `${model.attention ? `Layer ${at.layer}, ${name}` : `Block ${at.layer}`}: ${state}`;
    }
  };
  show();
  return { element, show };
}

/** @param {Model} model @returns {{part: Off["part"], head?: number, name: string}[]} */
function partsOf({ attention, blocks }) {
  if (!attention) return blocks ? [{ part: "block", name: "branch" }] : [];
  const heads = Array.from({ length: Math.max(...attention.heads) }, (_, i) => ({ part: /** @type {const} */ ("head"), head: i + 1, name: `head ${i + 1}` }));
  return [...heads, { part: "attention", name: "all heads" }, { part: "mlp", name: "MLP" }, { part: "layer", name: "whole layer" }];
}
