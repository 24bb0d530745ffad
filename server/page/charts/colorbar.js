/** @import { Colors } from "../core/color.js" */
import { css } from "../core/color.js";
import { fill, h } from "../core/dom.js";

/** Which colour is which value. @param {Colors} colors */
export function colorBar(colors) {
  const ramp = h("canvas", { class: "ramp", width: 256, height: 1, "aria-hidden": "true" });
  const low = h("span", { class: "number" });
  const high = h("span", { class: "number" });
  const unit = h("span", { class: "quiet" });
  const element = h("div", { class: "colorbar" }, low, ramp, high, unit);
  const paintRamp = (/** @type {Colors} */ now) => {
    const context = /** @type {CanvasRenderingContext2D} */ (ramp.getContext("2d"));
    for (let i = 0; i < 256; i++) {
      context.fillStyle = css(now, i / 255);
      context.fillRect(i, 0, 1, 1);
    }
  };
  paintRamp(colors);
  /** @param {string} from @param {string} to @param {string} what @param {Colors} [now] */
  const set = (from, to, what, now) => {
    fill(low, from);
    fill(high, to);
    fill(unit, what);
    if (now) paintRamp(now);
  };
  return { element, set };
}
