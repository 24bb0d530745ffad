/** @import { Model, Tensor } from "../core/types.js" */
import { askArrays, inputPath, postForArrays, questionPath } from "../core/api.js";
import { fill, h, showError } from "../core/dom.js";
import { answerOf } from "../core/lab.js";
import { picture } from "../core/maps.js";
import { shownHead, shownQuery } from "../core/preview.js";
import { place } from "../core/state.js";
import { headGrid } from "../attention/grid.js";
import { settings } from "../attention/settings.js";
import { rowsOf, tokenShares } from "../attention/source.js";
import { interventionResult } from "./result.js";
import { offs } from "./state.js";
import { switchMatrix } from "./switches.js";

/** Long enough for a drag over several switches to be one question. */
const REST = 90;

/** @param {Model} model */
export function interventionPanel(model) {
  const trouble = h("div");
  const result = interventionResult(model);
  const matrix = switchMatrix(model, () => ask());
  const all = h("button", { onclick: () => (offs(model.name).clear(), matrix.show(), ask()) }, "All on");
  const grid = model.attention?.whole ? headGrid(model) : null;
  const now = h("div", { class: "now", hidden: true }, h("h3", {}, "What each head attends to now"), grid?.element);
  const can = model.attention || model.blocks;
  const element = h("section", { class: "model", "aria-label": `Switches of ${model.title}`, "data-model": model.name },
    h("header", {}, h("div", {}, h("h2", {}, model.title), h("p", { class: "small quiet" }, model.describe)), can ? all : null),
    trouble,
    can ? h("div", { class: "switching" }, h("div", {}, matrix.element, grid ? now : null), result.element) : h("p", { class: "note" }, "This model has no parts that can be switched off one by one."));
  /** Attention after switching. @type {{whole: Tensor, read: number[]|undefined}|null} */
  let attention = null;
  let timer = 0;
  let turn = 0;

  const drawNow = () => {
    now.hidden = !attention;
    if (!attention || !grid || !model.attention) return;
    const { prefix, grids } = model.attention;
    const read = attention.read ?? [1, ...Array(attention.whole.shape[2] - 1).fill(0)];
    grid.draw(rowsOf(attention.whole, prefix, tokenShares(shownQuery(), grids[0], prefix, read)), settings.scale);
    grid.mark(shownHead(model.name));
  };

  const ask = () => {
    clearTimeout(timer);
    timer = window.setTimeout(answer, REST);
  };
  const answer = async () => {
    if (!can) return;
    const mine = ++turn;
    const { image } = place;
    const off = [...offs(model.name).values()];
    all.disabled = !off.length;
    result.element.classList.add("busy");
    try {
      if (!off.length) {
        const plain = await answerOf(model.name, image);
        if (mine !== turn) return;
        result.plain(plain);
        if (model.attention) await showPlainMaps(image, mine);
        now.hidden = true;
      } else {
        const { arrays, meta } = await postForArrays(`/api/models/${encodeURIComponent(model.name)}/intervene`, { image, off, maps: model.attention !== null });
        const shown = await picture(inputPath(image, model.name));
        if (mine !== turn) return;
        result.answers(meta.before, meta.after, off.some(({ by }) => by === "mean") ? meta.means : "");
        result.maps(shown, arrays.map_before, arrays.map_after);
        attention = arrays.attention ? { whole: arrays.attention, read: meta.read_out_weights } : null;
        drawNow();
      }
      if (mine === turn) fill(trouble);
    } catch (error) {
      if (mine === turn) showError(trouble, error);
    } finally {
      if (mine === turn) result.element.classList.remove("busy");
    }
  };
  /** The place of the maps is taken from the start. @param {string} image @param {number} mine */
  const showPlainMaps = async (image, mine) => {
    const [{ arrays }, shown] = await Promise.all([askArrays(questionPath(model.name, "rollout", { image, fusion: "mean", discard: 0, start: 1, query: "readout" })), picture(inputPath(image, model.name))]);
    if (mine === turn) result.maps(shown, arrays.map, arrays.map);
  };
  return { element, answer, drawNow };
}
