/** @import { Arrays, Tensor } from "./types.js" */

/** Every half-precision number as a float: 65,536 entries, built on first use. @type {Float32Array|null} */
let halves = null;

/** IEEE 754 binary16, by its definition. */
function halfTable() {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const sign = bits & 0x8000 ? -1 : 1;
    if (exponent === 31) table[bits] = fraction ? NaN : sign * Infinity;
    else if (exponent === 0) table[bits] = sign * fraction * 2 ** -24;
    else table[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return table;
}

/** @param {Uint16Array} bits */
function fromHalves(bits) {
  halves ??= halfTable();
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = halves[bits[i]];
  return values;
}

/**
 * Reads a safetensors file. Half-precision arrays become 32-bit floats.
 * @param {ArrayBuffer} file
 * @returns {Arrays}
 */
export function readArrays(file) {
  const length = Number(new DataView(file).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length)));
  const meta = JSON.parse(header.__metadata__?.json ?? "{}");
  delete header.__metadata__;
  /** @type {Record<string, Tensor>} */
  const arrays = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    const bytes = file.slice(8 + length + data_offsets[0], 8 + length + data_offsets[1]);
    arrays[name] = { shape, data: decode(dtype, bytes) };
  }
  return { arrays, meta };
}

/**
 * @param {string} dtype
 * @param {ArrayBuffer} bytes
 */
function decode(dtype, bytes) {
  switch (dtype) {
    case "F32": return new Float32Array(bytes);
    case "F16": return fromHalves(new Uint16Array(bytes));
    case "I32": return new Int32Array(bytes);
    case "U8": return new Uint8Array(bytes);
    default: throw new Error(`Arrays of type ${dtype} are not supported by this page. Reload it to get the server's version.`);
  }
}
