import { fill, h } from "../core/dom.js";
import { showHelp } from "./help.js";
import { saveFigure } from "./figure.js";
import { isDark, toggleTheme } from "./theme.js";
import { startWalk } from "./walk.js";

/** @param {HTMLElement} root */
export function buildTools(root) {
  const theme = h("button", { class: "plain", onclick: toggleTheme });
  const name = () => fill(theme, isDark() ? "Light" : "Dark");
  addEventListener("themechange", name);
  name();
  fill(root,
    h("button", { class: "plain", onclick: saveFigure, title: "Save what this view shows (s)" }, "Save figure"),
    h("button", { class: "plain", onclick: startWalk, title: "Six steps through the lab" }, "Walk"),
    h("button", { class: "plain", onclick: showHelp, title: "Keys and help (?)" }, "Help"),
    theme);
}
