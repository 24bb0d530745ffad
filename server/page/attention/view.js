import { h } from "../core/dom.js";
import { lab } from "../core/lab.js";
import { onPreview } from "../core/preview.js";
import { attentionPanel } from "./panel.js";
import { otherPanel } from "./other.js";

/** Every layer and head of every model, for one query. @param {HTMLElement} root */
export function mount(root) {
  const panels = lab.models.map((model) => (model.attention ? attentionPanel(model) : otherPanel(model)));
  const wide = lab.models.map((model) => (model.attention ? "minmax(0, 1fr)" : "minmax(0, 15rem)"));
  root.append(h("div", { class: "columns", style: { "--columns": wide.join(" ") } }, panels.map(({ element }) => element)));
  const stop = onPreview(() => panels.forEach((panel) => panel.preview()));
  panels.forEach((panel) => panel.load());
  return {
    /** @param {Set<string>} changed */
    change: (changed) => panels.forEach((panel) => panel.change(changed)),
    leave: stop,
  };
}
