import { h } from "../core/dom.js";
import { hashOf, imageFacts, lab } from "../core/lab.js";
import { baseName } from "../core/numbers.js";
import { fragment, place } from "../core/state.js";
import { compose, panelsOf } from "./compose.js";
import { openDialog } from "./help.js";
import { trouble } from "./intake.js";

/** Pixels of a PNG per pixel of the page. */
const SCALE = 2;

/** Offers what the view shows as a file, with a caption that says what it is of. */
export async function saveFigure() {
  if (document.querySelector("dialog[open]")) return;
  const root = /** @type {HTMLElement} */ (document.getElementById("view"));
  const panels = panelsOf(root);
  if (!panels.length) return trouble("There is no picture in this view yet. Save it when one is shown.");
  const style = getComputedStyle(document.body);
  const quiet = getComputedStyle(/** @type {HTMLElement} */ (document.getElementById("colophon"))).color;
  const caption = await captionOf(root).catch(() => []);
  const { svg, width, height } = compose(panels, caption, { paper: style.backgroundColor, ink: style.color, quiet });
  const name = `archaeo-${place.view}-${place.image}`;
  const address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  const preview = h("img", { class: "preview", src: address, alt: `${caption.join(" ")}`, width, height });
  const png = h("button", { onclick: () => savePng() }, "PNG");
  const dialog = openDialog("Save figure", preview,
    h("div", { class: "row" }, h("a", { class: "button", href: address, download: `${name}.svg` }, "SVG"), png, h("button", { onclick: () => dialog.close() }, "Close")));
  dialog.classList.add("figure-dialog");
  dialog.addEventListener("close", () => URL.revokeObjectURL(address));

  const savePng = async () => {
    const canvas = h("canvas", { width: width * SCALE, height: height * SCALE });
    await preview.decode();
    canvas.getContext("2d")?.drawImage(preview, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => {
      if (!blob) return;
      const link = h("a", { href: URL.createObjectURL(blob), download: `${name}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  };
}

/** @param {HTMLElement} root @returns {Promise<string[]>} */
async function captionOf(root) {
  const { name, label, hash } = await imageFacts(place.image);
  const hashes = await Promise.all(lab.models.map(hashOf));
  const models = lab.models.map(({ title }, i) => `${title} (weights sha256 ${hashes[i].slice(0, 12)})`).join(", ");
  const commands = [...new Set([...root.querySelectorAll("[data-command]")].map((element) => /** @type {HTMLElement} */ (element).dataset.command ?? ""))].filter(Boolean);
  return [
    `Models: ${models}. Image: ${baseName(name)}${label ? `, ${label}` : ""} (sha256 ${hash.slice(0, 12)}).`,
    ...(commands.length ? commands : [lab.command]).slice(0, 6),
    `archaeo ${lab.version}, ${lab.device}, ${lab.precision}; #${fragment()}`,
  ];
}
