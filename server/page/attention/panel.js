/** @import { Heads, Model } from "../core/types.js" */
/** @import { Rows, Source } from "./source.js" */
import { inputPath } from "../core/api.js";
import { announce, fill, h, segments, showError } from "../core/dom.js";
import { headsOf } from "../core/lab.js";
import { picture } from "../core/maps.js";
import { previewing, shownHead, shownQuery } from "../core/preview.js";
import { place } from "../core/state.js";
import { headGrid } from "./grid.js";
import { headOverlay } from "./overlay.js";
import { rolloutPanel } from "./rollout.js";
import { MANNERS, settings } from "./settings.js";
import { openAttention } from "./source.js";

const REST = 150;

/** A transformer's heads: all of them small, one large, and the rollout. @param {Model} model */
export function attentionPanel(model) {
  const grid = headGrid(model);
  const overlay = headOverlay(model);
  const rolled = rolloutPanel(model);
  const trouble = h("div");
  const asking = h("p", { class: "small quiet" });
  const body = h("div", { class: "stack" }, grid.element, h("div", { class: "large" }, overlay.element, rolled.element));
  const element = h("section", { class: "model", "aria-label": `Attention of ${model.title}`, "data-model": model.name },
    h("header", {},
      h("div", {}, h("h2", {}, model.title), h("p", { class: "small quiet" }, model.describe)),
      h("div", { class: "row" },
        segments("Scale of the small maps", [["own", "Own scales"], ["clipped", "Clipped"], ["common", "One scale"]], settings.scale, (value) => ((settings.scale = value), draw())),
        segments("How maps are drawn", MANNERS, settings.manner, (value) => ((settings.manner = value), draw(), rolled.redraw(value, true))))),
    asking, trouble, body);

  /** @type {Source|null} */
  let source = null;
  /** @type {Rows|null} */
  let rows = null;
  /** @type {Heads|null} */
  let numbers = null;
  /** @type {HTMLImageElement|null} */
  let image = null;

  const draw = () => {
    if (!rows) return;
    grid.draw(rows, settings.scale);
    drawHead();
    fill(asking, shownQuery() ? "Each map shows what the marked patch attends to." : `Each map shows what ${model.attention?.read_out} attends to.`, " Point at the picture to ask from a patch.");
  };
  const drawHead = () => {
    if (!rows) return;
    overlay.draw(image, rows, numbers, settings.manner, settings.scale);
    grid.mark(shownHead(model.name));
  };
  let turn = 0;
  /** Takes the rows of the query that is shown. */
  const ask = async () => {
    if (!source) return;
    const mine = ++turn;
    const query = shownQuery();
    asking.dataset.query = JSON.stringify(query);
    // Rows that the server must compute wait until the pointer rests.
    if (!source.whole && previewing()) await new Promise((resolve) => setTimeout(resolve, REST));
    if (mine !== turn) return;
    const answer = source.rows(query);
    const now = answer instanceof Promise ? await answer.catch((error) => (showError(trouble, error), null)) : answer;
    if (mine !== turn || !now) return;
    rows = now;
    draw();
    if (!previewing()) grid.describe(rows, numbers);
  };
  const load = async () => {
    const asked = place.image;
    body.classList.add("busy");
    try {
      const [opened, shown] = await Promise.all([openAttention(model, asked), picture(inputPath(asked, model.name))]);
      if (asked !== place.image) return;
      fill(trouble);
      [source, image, numbers] = [opened, shown, null];
      await ask();
      rolled.open(source, image, settings.manner);
      body.classList.remove("busy");
      numbers = await headsOf(model.name, asked);
      if (asked === place.image) await ask();
    } catch (error) {
      if (asked === place.image) showError(trouble, error);
    } finally {
      if (asked === place.image) body.classList.remove("busy");
    }
  };

  return {
    element, load,
    preview: () => {
      const query = JSON.stringify(shownQuery());
      if (query === asking.dataset.query) return drawHead();
      asking.dataset.query = query;
      ask();
      rolled.redraw(settings.manner, !previewing());
    },
    /** @param {Set<string>} changed */
    change: (changed) => {
      if (changed.has("image")) load();
      else if (changed.has("query")) {
        ask();
        rolled.redraw(settings.manner, true);
      } else if (changed.has("layer") || changed.has("head")) {
        drawHead();
        if (place.model === model.name) announce(`Layer ${place.layer}, head ${place.head}`);
      }
    },
  };
}
