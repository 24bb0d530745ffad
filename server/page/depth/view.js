import { fill } from "../core/dom.js";
import { lab } from "../core/lab.js";
import { depthPanel } from "./panel.js";

/** What each layer adds. @param {HTMLElement} root */
export function mount(root) {
  const panels = lab.models.map(depthPanel);
  fill(root, panels.map(({ element }) => element));
  panels.forEach((panel) => panel.load());
  return {
    /** @param {Set<string>} changed */
    change: (changed) => panels.forEach((panel) => {
      if (changed.has("image") || changed.has("target") || changed.has("model")) panel.load();
      else if (changed.has("layer")) panel.layer();
    }),
    leave: () => panels.forEach((panel) => panel.leave()),
  };
}
