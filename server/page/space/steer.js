/** @import { Orbit } from "./orbit.js" */

const TURN = 0.008;
const KEY_TURN = 0.12;

/**
 * Mouse, touch, wheel and keys turn `orbit`; a press that does not move is a pick.
 * @param {HTMLCanvasElement} canvas
 * @param {() => Orbit} orbit
 * @param {{draw: () => void, fit: () => void, pick: (x: number, y: number) => void, hover: (at: [number, number]|null) => void}} told Places in shares of the picture, from −1 to 1.
 */
export function steer(canvas, orbit, { draw, fit, pick, hover }) {
  /** @type {Map<number, PointerEvent>} */
  const down = new Map();
  let moved = 0;
  const at = (/** @type {PointerEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    return /** @type {[number, number]} */ ([(2 * (event.clientX - box.left)) / box.width - 1, 1 - (2 * (event.clientY - box.top)) / box.height]);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, event);
    moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return event.pointerType === "mouse" ? hover(at(event)) : undefined;
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
    const other = [...down.values()].find(({ pointerId }) => pointerId !== event.pointerId);
    if (other) {
      const apart = (/** @type {PointerEvent} */ one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      orbit().zoom(apart(before) / Math.max(1, apart(event)));
    } else orbit().turn(-dx * TURN, dy * TURN);
    moved += Math.abs(dx) + Math.abs(dy);
    down.set(event.pointerId, event);
    draw();
  });
  for (const kind of /** @type {const} */ (["pointerup", "pointercancel"])) {
    canvas.addEventListener(kind, (event) => {
      const held = down.delete(event.pointerId);
      if (held && kind === "pointerup" && moved < 5) pick(...at(event));
    });
  }
  canvas.addEventListener("pointerleave", () => hover(null));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    orbit().zoom(Math.exp(event.deltaY * 0.001));
    draw();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const act = /** @type {Record<string, () => void>} */ ({
      ArrowLeft: () => orbit().turn(-KEY_TURN, 0), ArrowRight: () => orbit().turn(KEY_TURN, 0), ArrowUp: () => orbit().turn(0, KEY_TURN), ArrowDown: () => orbit().turn(0, -KEY_TURN),
      "+": () => orbit().zoom(0.9), "-": () => orbit().zoom(1.1), 0: fit,
    })[event.key];
    if (!act || event.ctrlKey || event.metaKey) return;
    event.stopPropagation();
    event.preventDefault();
    act();
    draw();
  });
}
