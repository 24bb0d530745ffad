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
/** Width over height of the picture that the distance is made for. */
const WIDE = 1.6;

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

  /** A tall picture shows as much as a wide one, from farther away. @param {number} aspect @returns {Vector} */
  eye(aspect) {
    const [x, y, z] = this.center;
    const away = this.distance * Math.max(1, WIDE / aspect);
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
    const eye = this.eye(aspect);
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
