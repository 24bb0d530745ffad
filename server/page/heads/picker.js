import { ask, imagePath } from "../core/api.js";
import { h } from "../core/dom.js";
import { baseName } from "../core/numbers.js";
import { openDialog } from "../shell/help.js";
import { place } from "../core/state.js";

const COUNT = 60;

/** Chooses the image that heads are taken from. @param {(id: string, name: string) => void} chosen */
export async function pickImage(chosen) {
  const list = h("ul", { class: "picker thumbs", "aria-label": "Images" });
  const dialog = openDialog("Take heads from another image",
    h("p", { class: "note" }, "A head that is switched gives the output that it has on that image."), list,
    h("div", { class: "row" }, h("button", { onclick: () => dialog.close() }, "Cancel")));
  const { images } = await ask(`/api/images?from=1&count=${COUNT}`);
  list.append(...images.filter((/** @type {any} */ image) => image.id !== place.image).map((/** @type {any} */ { id, name, label }) =>
    h("li", {}, h("button", { "aria-label": label ?? baseName(name), title: label ?? baseName(name), onclick: () => (dialog.close(), chosen(id, label ?? baseName(name))) }, h("img", { src: imagePath(id, 112), alt: "", loading: "lazy" })))));
}
