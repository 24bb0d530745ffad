/** @import { Place } from "./core/state.js" */
import { forgetQuestions } from "./core/api.js";
import { fill, h, showError } from "./core/dom.js";
import { lab, modelNamed, openLab } from "./core/lab.js";
import { baseName } from "./core/numbers.js";
import { followAddress, fragment, go, onChange, parse, place } from "./core/state.js";
import { buildTools } from "./shell/tools.js";
import { buildStrip } from "./shell/strip.js";
import { buildSpecimen } from "./shell/specimen.js";
import { acceptImages } from "./shell/intake.js";
import { listenToKeys } from "./shell/keys.js";
import { walkAtFirst } from "./shell/walk.js";
import { restoreTheme } from "./shell/theme.js";
import { VIEWS } from "./shell/views.js";

/** @typedef {{change: (changed: Set<string>) => void, leave?: () => void}} View */

/** @param {string} id */
const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** Replaces what does not exist in this lab. @param {Partial<Place>} to @returns {Partial<Place>} */
function existing(to) {
  const model = modelNamed(to.model ?? place.model);
  const attention = model.attention ?? lab.models.find((other) => other.attention)?.attention;
  const layer = Math.min(to.layer ?? place.layer, attention?.layers ?? 1);
  const head = Math.min(to.head ?? place.head, attention?.heads[layer - 1] ?? 1);
  const view = VIEWS.some(({ id }) => id === to.view) ? to.view : VIEWS[0].id;
  const target = to.target !== null && to.target !== undefined && to.target < model.classes.length ? to.target : null;
  const method = (to.method ?? []).filter((id) => lab.methods.some((other) => other.id === id));
  return { ...to, image: to.image ?? lab.first, model: model.name, layer, head, view, target, method };
}

/** @type {View|null} */
let current = null;
let shown = "";

async function showView() {
  const { view } = place;
  if (view === shown) return;
  shown = view;
  current?.leave?.();
  current = null;
  const root = at("view");
  const { load, title } = /** @type {typeof VIEWS[number]} */ (VIEWS.find(({ id }) => id === view));
  document.title = `${title} · Attention Archaeology`;
  try {
    const { mount } = await load();
    if (place.view !== view) return;
    const inside = h("div", { class: `view-${view}` });
    fill(root, h("h2", { class: "unseen" }, title), inside);
    root.setAttribute("aria-label", title);
    current = mount(inside);
  } catch (error) {
    showError(root, error);
  }
}

function showTabs() {
  const tabs = VIEWS.map(({ id, title }) => {
    const address = `#${fragment().replace(/view=[^&]*/, `view=${id}`)}`;
    const follow = (/** @type {MouseEvent} */ event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      go({ view: id });
    };
    return h("a", { href: address, "aria-current": id === place.view ? "page" : null, "data-view": id, onclick: follow }, title);
  });
  const focus = document.activeElement?.getAttribute("data-view");
  fill(at("views"), tabs);
  // On a phone the tabs are a strip that scrolls.
  const strip = at("views");
  const now = tabs.find((tab) => tab.ariaCurrent);
  if (now) strip.scrollLeft = Math.max(0, now.offsetLeft - strip.offsetLeft - (strip.clientWidth - now.offsetWidth) / 2);
  if (focus) tabs.find((tab) => tab.dataset.view === focus)?.focus();
}

function showColophon() {
  const { version, device, precision, command, run, images } = lab;
  fill(at("colophon"),
    h("span", {}, `archaeo ${version}`), h("span", {}, `${device}, ${precision}`), h("span", {}, `${baseName(images.name)}: ${images.count} images`),
    run ? h("span", {}, `studies of ${run}`) : null, h("code", {}, command));
}

async function start() {
  restoreTheme();
  at("skip").addEventListener("click", (event) => {
    event.preventDefault();
    at("view").focus();
  });
  await openLab((opening) => fill(at("opening"), `${opening[0].toUpperCase()}${opening.slice(1)}…`));
  Object.assign(place, existing(parse(location.hash)));
  history.replaceState(null, "", `#${fragment()}`);
  followAddress(existing);
  onChange((changed) => changed.has("image") && forgetQuestions());
  buildTools(at("tools"));
  buildStrip(at("images"));
  buildSpecimen(at("specimen"));
  acceptImages();
  listenToKeys();
  showTabs();
  showColophon();
  onChange((changed) => {
    showTabs();
    const before = shown;
    showView();
    if (before === place.view) current?.change(changed);
  });
  await showView();
  walkAtFirst();
}

start().catch((error) => showError(at("view"), error));
