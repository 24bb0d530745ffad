import { imagePath } from "../core/api.js";
import { fill, h, segments } from "../core/dom.js";
import { lab } from "../core/lab.js";
import { firstName } from "../core/numbers.js";
import { onPreview } from "../core/preview.js";
import { interventionPanel } from "./panel.js";
import { pickImage } from "./picker.js";
import { tool } from "./state.js";

/** Parts of the models switched off. @param {HTMLElement} root */
export function mount(root) {
  const panels = lab.models.map(interventionPanel);
  const from = h("span", { class: "patch-from" });
  const choose = () => pickImage((id, name) => {
    tool.image = id;
    showSource(name);
  }).catch((error) => fill(from, error.message));
  const showSource = (/** @type {string} */ name) => fill(from,
    tool.by !== "image" ? null : tool.image ? [h("img", { src: imagePath(tool.image, 96), alt: "" }), firstName(name)] : null,
    tool.by === "image" ? h("button", { class: "plain", onclick: choose }, tool.image ? "Choose another" : "Choose the image") : null);
  fill(root,
    h("div", { class: "bar" },
      h("div", { class: "row" }, h("span", { class: "small" }, "A part that is switched gives"),
        segments("What replaces a part", [["zero", "nothing"], ["mean", "its mean"], ["image", "another image's"]], tool.by, (value) => {
          tool.by = value;
          showSource("");
          if (value === "image" && !tool.image) choose();
        }), from)),
    panels.map(({ element }) => element));
  showSource(tool.image ?? "");
  panels.forEach((panel) => panel.answer());
  const redraw = () => panels.forEach((panel) => panel.drawNow());
  const stop = onPreview(redraw);
  return {
    /** @param {Set<string>} changed */
    change: (changed) => {
      if (changed.has("image")) panels.forEach((panel) => panel.answer());
      else redraw();
    },
    leave: stop,
  };
}
