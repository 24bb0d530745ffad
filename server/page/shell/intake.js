import { upload } from "../core/api.js";
import { announce, fill, h } from "../core/dom.js";
import { lab } from "../core/lab.js";
import { addImage } from "./strip.js";

/** Says what went wrong above the bench, without touching what is shown. @param {string} message */
export function trouble(message) {
  const place = /** @type {HTMLElement} */ (document.getElementById("trouble"));
  place.hidden = false;
  fill(place, h("span", {}, message), h("button", { class: "plain", onclick: () => (place.hidden = true) }, "Close"));
}

function noTrouble() {
  /** @type {HTMLElement} */ (document.getElementById("trouble")).hidden = true;
}

/** @param {string} name @param {Blob} file */
export async function takeImage(name, file) {
  noTrouble();
  if (file.size > lab.limits.body) {
    trouble(`${name} has ${Math.ceil(file.size / 2 ** 20)} MiB, and the lab takes ${Math.floor(lab.limits.body / 2 ** 20)} MiB. Save it smaller and try again.`);
    return;
  }
  try {
    const { id } = await upload(name, file);
    addImage({ id, name, label: null });
    announce(`${name} is on the table.`);
  } catch (error) {
    trouble(error instanceof Error ? error.message : String(error));
  }
}

/** @param {FileList|null|undefined} files */
export async function takeFiles(files) {
  for (const file of files ?? []) await takeImage(file.name, file);
}

/** Images that are dropped anywhere or pasted. */
export function acceptImages() {
  let inside = 0;
  const dropping = (/** @type {boolean} */ on) => document.body.classList.toggle("dropping", on);
  const brings = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
  addEventListener("dragenter", (event) => brings(event) && dropping(++inside > 0));
  addEventListener("dragleave", (event) => brings(event) && dropping(--inside > 0));
  addEventListener("dragover", (event) => brings(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    inside = 0;
    dropping(false);
    if (!brings(event)) return;
    event.preventDefault();
    takeFiles(event.dataTransfer?.files);
  });
  addEventListener("paste", (event) => {
    if (event.target instanceof HTMLInputElement) return;
    const files = event.clipboardData?.files;
    if (files?.length) takeFiles(files);
  });
}
