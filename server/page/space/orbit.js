/** Matrices are column-major, as WebGL takes them. @typedef {Float32Array} Matrix */

/** @param {Matrix} a @param {Matrix} b @returns {Matrix} a · b */
export function multiply(a, b) {
  const out = new Float32Array(16);
  for (let column = 0; column < 4; column++) for (let row = 0; row < 4; row++) for (let k = 0; k < 4; k++) out[4 * column + row] += a[4 * k + row] * b[4 * column + k];
  return out;
}

/** @param {number} angle Vertical angle of view in radians. @param {number} aspect @param {number} near @param {number} far @returns {Matrix} */
function perspective(angle, aspect, near, far) {
  const f = 1 / Math.tan(angle / 2);
  return new Float32Array([f / aspect, 0, 0, 0, 0, f, 0, 0, 0, 0, (far + near) / (near - far), -1, 0, 0, (2 * far * near) / (near - far), 0]);
}

/** @typedef {[number, number, number]} Vector */

const ANGLE = 0.7;
/** From the side of the picture, a little above. */
const YAW = -0.72;
const PITCH = 0.3;
/** Where the search for the distance starts. */
const FAR = 20;
/** Share of the picture's width or height that the scene takes at the start. */
const FILLED = 0.9;

/** @param {Matrix} camera @param {Vector} point @returns {[number, number, number]} Place in the picture, from −1 to 1, and depth. */
export function project(camera, [x, y, z]) {
  const [cx, cy, cw] = [0, 1, 3].map((row) => camera[row] * x + camera[4 + row] * y + camera[8 + row] * z + camera[12 + row]);
  return [cx / cw, cy / cw, cw];
}

/** A camera that goes around a point. */
export class Orbit {
  /** @param {Vector} center @param {number} distance */
  constructor(center, distance) {
    this.center = center;
    this.home = distance;
    this.yaw = YAW;
    this.pitch = PITCH;
    this.distance = distance;
  }

  reset() {
    Object.assign(this, { yaw: YAW, pitch: PITCH, distance: this.home });
  }

  /** @param {number} yaw @param {number} pitch */
  turn(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = Math.max(-1.45, Math.min(1.45, this.pitch + pitch));
  }

  /** @param {number} factor */
  zoom(factor) {
    this.distance = Math.max(this.home * 0.25, Math.min(this.home * 3, this.distance * factor));
  }

  /** Goes where all of `points` are seen, as large as can be, from the direction at the start. @param {Vector[]} points @param {number} aspect */
  fit(points, aspect) {
    this.home = FAR;
    this.reset();
    this.center = /** @type {Vector} */ ([0, 1, 2].map((i) => points.reduce((sum, point) => sum + point[i], 0) / points.length));
    for (let round = 0; round < 12; round++) {
      const [right, up] = this.axes;
      const camera = this.matrix(aspect);
      const seen = points.map((point) => project(camera, point));
      const [xs, ys] = [seen.map(([x]) => x), seen.map(([, y]) => y)];
      const middle = (/** @type {number[]} */ all) => (Math.min(...all) + Math.max(...all)) / 2;
      const reach = Math.tan(ANGLE / 2) * this.distance;
      for (const i of /** @type {const} */ ([0, 1, 2])) this.center[i] += right[i] * middle(xs) * reach * aspect + up[i] * middle(ys) * reach;
      const wide = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys)) / 2;
      this.distance *= 0.5 + (0.5 * wide) / FILLED;
    }
    this.home = this.distance;
  }

  /** @returns {Vector} */
  get eye() {
    const [x, y, z] = this.center;
    const away = this.distance;
    const flat = Math.cos(this.pitch) * away;
    return [x + Math.sin(this.yaw) * flat, y + Math.sin(this.pitch) * away, z + Math.cos(this.yaw) * flat];
  }

  /** The camera's axes: right, up, back. @returns {[Vector, Vector, Vector]} */
  get axes() {
    const [sinY, cosY, sinP, cosP] = [Math.sin(this.yaw), Math.cos(this.yaw), Math.sin(this.pitch), Math.cos(this.pitch)];
    return [[cosY, 0, -sinY], [-sinY * sinP, cosP, -cosY * sinP], [sinY * cosP, sinP, cosY * cosP]];
  }

  /** @param {number} aspect @returns {Matrix} */
  matrix(aspect) {
    const [right, up, back] = this.axes;
    const { eye } = this;
    const dot = (/** @type {Vector} */ a) => -(a[0] * eye[0] + a[1] * eye[1] + a[2] * eye[2]);
    const view = new Float32Array([right[0], up[0], back[0], 0, right[1], up[1], back[1], 0, right[2], up[2], back[2], 0, dot(right), dot(up), dot(back), 1]);
    return multiply(perspective(ANGLE, aspect, 0.1, 200), view);
  }

  /** Direction through a point of the picture, from −1 to 1 in both. @param {number} x @param {number} y @param {number} aspect @returns {Vector} */
  ray(x, y, aspect) {
    const [right, up, back] = this.axes;
    const reach = Math.tan(ANGLE / 2);
    return /** @type {Vector} */ ([0, 1, 2].map((i) => right[i] * x * reach * aspect + up[i] * y * reach - back[i]));
  }
}
