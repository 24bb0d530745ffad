/** @import { Manner } from "../core/maps.js" */
/** @import { Scale } from "./grid.js" */

/** How maps are drawn, kept while views change. @type {{manner: Manner, scale: Scale}} */
export const settings = { manner: "over", scale: "own" };

/** @type {[Manner, string][]} */
export const MANNERS = [["over", "Overlay"], ["heat", "Colours"], ["light", "Light"]];
