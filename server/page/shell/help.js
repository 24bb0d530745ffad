import { h } from "../core/dom.js";
import { lab } from "../core/lab.js";
import { KEYS } from "./keys.js";

/**
 * A dialog that goes away by itself when it is closed.
 * @param {string} title
 * @param {...import("../core/dom.js").Child} children
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, ...children) {
  const heading = h("h2", { id: "dialog-title" }, title);
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, heading, ...children);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export function showHelp() {
  if (document.querySelector("dialog[open]")) return;
  const keys = KEYS.flatMap(([names, action]) => [h("dt", {}, names.split(" ").map((name) => (/^(or|…)$/.test(name) ? ` ${name} ` : h("kbd", {}, name)))), h("dd", {}, action)]);
  const dialog = openDialog("Help",
    h("dl", { class: "keys" }, keys),
    h("p", { class: "note" }, "With the picture in focus, arrow keys move the patch that asks. The address of the page says what you see: copy it to show someone else the same view."),
    h("p", { class: "note" }, "Everything is computed by ", h("code", {}, lab.command), " on ", lab.device, ". Images that you add stay in its memory and are gone when it ends."),
    h("form", { class: "row", method: "dialog" }, h("button", { class: "primary" }, "Close")));
  dialog.querySelector("button")?.focus();
}
