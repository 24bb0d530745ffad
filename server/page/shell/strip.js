/** @import { ImageName } from "../core/types.js" */
import { ask, imagePath } from "../core/api.js";
import { fill, h, showError } from "../core/dom.js";
import { lab } from "../core/lab.js";
import { baseName } from "../core/numbers.js";
import { go, onChange, place } from "../core/state.js";
import { openCamera } from "./camera.js";
import { takeFiles } from "./intake.js";
import { openOccluder } from "./occluder.js";

/** Images that were added in this visit, newest first. @type {ImageName[]} */
const own = [];
let from = 1;
/** @type {HTMLElement} */
let root;
/** @type {HTMLElement} */
let thumbs;
/** @type {HTMLElement} */
let pages;

/** Width of a thumbnail with its gap, in pixels. */
const THUMB = 57.6;

let [count, width] = [0, 0];

/** As many as a row holds, so that a page is what one sees; the same until the window changes. */
function perPage() {
  if (width !== innerWidth) [count, width] = [innerWidth < 820 ? 24 : Math.max(6, Math.floor(thumbs.clientWidth / THUMB)), innerWidth];
  return count;
}

/** @param {HTMLElement} place_ */
export function buildStrip(place_) {
  root = place_;
  const file = h("input", { type: "file", accept: "image/*", class: "unseen", tabindex: -1, "aria-hidden": "true" });
  file.addEventListener("change", () => {
    takeFiles(file.files);
    file.value = "";
  });
  thumbs = h("ul", { class: "thumbs", "aria-label": "Images to examine" });
  pages = h("div", { class: "pages" });
  fill(root,
    h("div", { class: "row intake" },
      h("button", { onclick: () => file.click(), title: "Or drop an image anywhere, or paste one" }, "Open image"), file,
      h("button", { onclick: openCamera }, "Camera"),
      h("button", { onclick: openOccluder, title: "Cover a part of this image" }, "Cover")),
    thumbs, pages);
  from = pageOf(place.image) ?? 1;
  onChange((changed) => {
    if (!changed.has("image")) return;
    const page = pageOf(place.image);
    if (page !== null && page !== from) {
      from = page;
      showPage();
    } else mark();
  });
  showPage();
}

/** @param {string} id @returns {number|null} The first image of the page that `id` is on. */
function pageOf(id) {
  const number = Number(/^d(\d+)$/.exec(id)?.[1]);
  return number ? 1 + Math.floor((number - 1) / perPage()) * perPage() : null;
}

async function showPage() {
  const count = perPage();
  const last = Math.min(lab.images.count, from + count - 1);
  const turn = (/** @type {number} */ to) => {
    from = Math.max(1, to);
    showPage();
  };
  fill(pages,
    h("button", { class: "plain", "aria-label": "Earlier images", disabled: from === 1, onclick: () => turn(from - count) }, "‹"),
    h("span", {}, lab.images.count ? `${from}–${last} of ${lab.images.count}` : "no data"),
    h("button", { class: "plain", "aria-label": "Later images", disabled: last >= lab.images.count, onclick: () => turn(from + count) }, "›"));
  try {
    const { images } = await ask(`/api/images?from=${from}&count=${count}`);
    fill(thumbs, [...own, ...images].map(thumb));
    mark();
  } catch (error) {
    showError(thumbs, error);
  }
}

/** @param {ImageName} image */
function thumb({ id, name, label }) {
  const title = label ? `${label} · ${baseName(name)}` : baseName(name);
  const mine = id.startsWith("d") ? null : "own";
  return h("li", {}, h("button", { "data-image": id, class: mine, title, "aria-label": title, onclick: () => go({ image: id }) },
    h("img", { src: imagePath(id, 112), alt: "", loading: "lazy", width: 52, height: 52 })));
}

function mark() {
  for (const button of thumbs.querySelectorAll("button")) {
    const chosen = button.dataset.image === place.image;
    button.setAttribute("aria-pressed", String(chosen));
    if (chosen) button.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

/** Puts an image in front of the strip and goes to it. @param {ImageName} image */
export function addImage(image) {
  if (!own.some(({ id }) => id === image.id)) {
    own.unshift(image);
    thumbs.prepend(thumb(image));
  }
  go({ image: image.id });
  mark();
}

/** @param {number} by */
export function stepImage(by) {
  const number = Number(/^d(\d+)$/.exec(place.image)?.[1] ?? 0);
  const next = Math.max(1, Math.min(lab.images.count, number + by));
  if (lab.images.count) go({ image: `d${next}` });
}
