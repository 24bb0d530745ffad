import { fill, h, segments } from "../core/dom.js";
import { lab } from "../core/lab.js";
import { go, place } from "../core/state.js";
import { MANNERS, settings } from "../attention/settings.js";
import { baselineRow } from "./baselines.js";
import { methodRow } from "./row.js";

/** Shown where the address names none: one from attention, one from feature maps, one from pixels. */
const FIRST = ["chefer", "grad-cam", "saliency"];

const scale = { common: false };

/** Methods side by side on every model. @param {HTMLElement} root */
export function mount(root) {
  const known = lab.methods.filter(({ id, kind }) => kind === "explanation" && lab.models.some((model) => model.methods.includes(id)));
  const preferred = FIRST.filter((id) => known.some((method) => method.id === id));
  const usual = preferred.length ? preferred : known.slice(0, 3).map(({ id }) => id);
  const chosen = () => (place.method.length ? place.method : usual);

  /** @type {Map<string, ReturnType<typeof methodRow>>} */
  const rows = new Map();
  const list = h("div");
  const baselines = baselineRow();
  const chooser = h("fieldset", { class: "chooser" }, h("legend", {}, "Methods"), known.map(({ id, title, summary, cost }) =>
    h("label", { title: `${summary}; ${cost}` }, h("input", { type: "checkbox", value: id, checked: chosen().includes(id), onchange: (/** @type {Event} */ event) => toggle(id, /** @type {HTMLInputElement} */ (event.target).checked) }), title)));
  const redraw = () => {
    for (const row of rows.values()) row.draw();
    baselines.draw();
  };
  fill(root, h("div", { class: "bar" }, chooser, h("div", { class: "row" },
    segments("Scale of colours", [["own", "Own scales"], ["common", "One scale"]], scale.common ? "common" : "own", (value) => ((scale.common = value === "common"), redraw())),
    segments("How maps are drawn", MANNERS, settings.manner, (value) => ((settings.manner = value), redraw())))),
    list, baselines.element);

  /** @param {string} id @param {boolean} on */
  const toggle = (id, on) => go({ method: on ? [...chosen(), id] : chosen().filter((other) => other !== id) });

  /** Rows in the order of the list; those that stay keep what they show. */
  const arrange = () => {
    const now = known.filter(({ id }) => chosen().includes(id));
    for (const [id, row] of rows) if (!now.some((method) => method.id === id)) row.element.remove(), rows.delete(id);
    for (const method of now) {
      const there = rows.get(method.id);
      const row = there ?? methodRow(method, scale);
      rows.set(method.id, row);
      list.append(row.element);
      if (!there) row.load();
    }
    for (const input of chooser.querySelectorAll("input")) input.checked = chosen().includes(input.value);
  };
  arrange();
  baselines.load();
  return {
    /** @param {Set<string>} changed */
    change: (changed) => {
      if (changed.has("method")) arrange();
      if (changed.has("image") || changed.has("target") || changed.has("model")) {
        for (const row of rows.values()) row.load();
        baselines.load();
      }
    },
  };
}
