/** @import { Model } from "../core/types.js" */
/** @import { Rows } from "../attention/source.js" */
/** @import { Orbit, Vector } from "./orbit.js" */
import { table } from "../core/color.js";
import { range } from "../core/numbers.js";
import { FRAGMENT, VERTEX } from "./shaders.js";

/** @typedef {{offset: Vector, slice: number, layer: number, head: number, grid: [number, number]}} Slab */

export const SIDE = 1;
const BETWEEN_HEADS = 1.12;
const FLOATS = 7;

/** Where every head stands: layers along x, heads along z, the picture in front. @param {Model} model @param {number} spread @returns {Slab[]} */
export function slabsOf(model, spread) {
  const attention = /** @type {NonNullable<Model["attention"]>} */ (model.attention);
  /** @type {Slab[]} */
  const slabs = [{ offset: [-1.4 * spread, 0, 0], slice: -1, layer: 0, head: 0, grid: attention.grids[0] }];
  let slice = 0;
  attention.heads.forEach((heads, layer) => {
    // Many heads stand in several rows, so that a layer is about square.
    const across = heads > 6 ? Math.ceil(Math.sqrt(heads)) : heads;
    const down = Math.ceil(heads / across);
    for (let head = 0; head < heads; head++) {
      const [row, column] = [Math.floor(head / across), head % across];
      slabs.push({ offset: [layer * spread, ((down - 1) / 2 - row) * BETWEEN_HEADS, (column - (across - 1) / 2) * BETWEEN_HEADS], slice: slice++, layer: layer + 1, head: head + 1, grid: attention.grids[layer] });
    }
  });
  return slabs;
}

/**
 * All slabs in one instanced draw call.
 * @param {HTMLCanvasElement} canvas
 */
export function openScene(canvas) {
  const context = canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true });
  if (!context) return null;
  const gl = context;
  const program = link(gl);
  gl.useProgram(program);
  const uniform = (/** @type {string} */ name) => gl.getUniformLocation(program, name);
  const places = { camera: uniform("camera"), query: uniform("query"), side: uniform("side") };
  gl.uniform1f(places.side, SIDE);
  gl.uniform1i(uniform("maps"), 0);
  gl.uniform1i(uniform("colors"), 1);
  gl.uniform1i(uniform("picture"), 2);
  attribute(gl, program, "corner", new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), 2);
  const instances = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, instances);
  for (const [name, size, offset] of /** @type {[string, number, number][]} */ ([["offset", 3, 0], ["kind", 4, 12]])) {
    const at = gl.getAttribLocation(program, name);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, gl.FLOAT, false, 4 * FLOATS, offset);
    gl.vertexAttribDivisor(at, 1);
  }
  const entries = table("inferno");
  texture(gl, 1, gl.TEXTURE_2D, () => gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, 256, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, entries));
  texture(gl, 2, gl.TEXTURE_2D, () => gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, 1, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, new Uint8Array(3)));
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);

  return {
    /** @param {HTMLImageElement} image */
    picture: (image) => texture(gl, 2, gl.TEXTURE_2D, () => gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, image), image.naturalWidth < 100 ? gl.NEAREST : gl.LINEAR),
    /** Each head on its own scale. @param {Rows} rows @param {Slab[]} slabs */
    maps: (rows, slabs) => {
      const heads = slabs.filter(({ slice }) => slice >= 0);
      const height = Math.max(...heads.map(({ grid }) => grid[0]));
      const width = Math.max(...heads.map(({ grid }) => grid[1]));
      const bytes = new Uint8Array(heads.length * height * width);
      for (const { slice, layer, head, grid: [h, w] } of heads) {
        const values = rows[layer - 1].values.subarray((head - 1) * h * w, head * h * w);
        const scale = 255 / (range(values)[1] || 1);
        for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) bytes[(slice * height + y) * width + x] = values[Math.floor((y * h) / height) * w + Math.floor((x * w) / width)] * scale;
      }
      texture(gl, 0, gl.TEXTURE_2D_ARRAY, () => gl.texImage3D(gl.TEXTURE_2D_ARRAY, 0, gl.R8, width, height, heads.length, 0, gl.RED, gl.UNSIGNED_BYTE, bytes));
    },
    /** @param {Orbit} orbit @param {Slab[]} slabs @param {{layer: number, head: number}} chosen @param {[number, number]|null} query */
    draw: (orbit, slabs, chosen, query) => {
      const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((size) => Math.max(1, Math.round(size * Math.min(2, devicePixelRatio))));
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
      const { eye } = orbit;
      const far = (/** @type {Slab} */ { offset }) => offset.reduce((sum, value, i) => sum + (value - eye[i]) ** 2, 0);
      const ordered = [...slabs].sort((a, b) => far(b) - far(a));
      const data = new Float32Array(ordered.length * FLOATS);
      ordered.forEach(({ offset, slice, layer, head, grid }, i) => data.set([...offset, slice, Number(layer === chosen.layer && head === chosen.head), ...grid], i * FLOATS));
      gl.viewport(0, 0, width, height);
      gl.clearColor(0.051, 0.059, 0.075, 1);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.uniformMatrix4fv(places.camera, false, orbit.matrix(width / height));
      gl.uniform2f(places.query, query?.[0] ?? -1, query?.[1] ?? -1);
      gl.bindBuffer(gl.ARRAY_BUFFER, instances);
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
      gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, ordered.length);
    },
    close: () => gl.getExtension("WEBGL_lose_context")?.loseContext(),
  };
}

/** The slab that a ray meets first, and where on it. @param {Vector} eye @param {Vector} ray @param {Slab[]} slabs */
export function meet(eye, ray, slabs) {
  let best = null;
  for (const slab of slabs) {
    const t = (slab.offset[0] - eye[0]) / ray[0];
    const y = 0.5 - (eye[1] + t * ray[1] - slab.offset[1]) / SIDE;
    const x = 0.5 + (eye[2] + t * ray[2] - slab.offset[2]) / SIDE;
    if (t > 0 && y >= 0 && y < 1 && x >= 0 && x < 1 && (!best || t < best.t)) best = { slab, t, y, x };
  }
  return best;
}

/** @param {WebGL2RenderingContext} gl */
function link(gl) {
  const program = /** @type {WebGLProgram} */ (gl.createProgram());
  for (const [type, source] of /** @type {[number, string][]} */ ([[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]])) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(type));
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(`The 3-D view cannot be drawn here: ${gl.getShaderInfoLog(shader)}`);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return program;
}

/** @param {WebGL2RenderingContext} gl @param {WebGLProgram} program @param {string} name @param {Float32Array} data @param {number} size */
function attribute(gl, program, name, data, size) {
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
  const at = gl.getAttribLocation(program, name);
  gl.enableVertexAttribArray(at);
  gl.vertexAttribPointer(at, size, gl.FLOAT, false, 0, 0);
}

/** @type {WeakMap<WebGL2RenderingContext, Map<number, WebGLTexture>>} */
const textures = new WeakMap();

/** Fills the texture of a unit. @param {WebGL2RenderingContext} gl @param {number} unit @param {number} target @param {() => void} load @param {number} [filter] */
function texture(gl, unit, target, load, filter = gl.NEAREST) {
  const of = textures.get(gl) ?? new Map();
  textures.set(gl, of);
  if (!of.has(unit)) of.set(unit, gl.createTexture());
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(target, of.get(unit));
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  load();
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(target, name, filter);
  for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(target, name, gl.CLAMP_TO_EDGE);
}
