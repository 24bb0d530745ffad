// Files as the server sends them: PNG pictures and safetensors arrays.
import { deflateSync, crc32 } from "node:zlib";

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body) >>> 0, body.length + 4);
  return out;
}

/** `rgb(x, y)` with x, y in [0, 1) gives bytes. */
export function png(width, height, rgb) {
  const raw = Buffer.alloc(height * (1 + 3 * width));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const color = rgb((x + 0.5) / width, (y + 0.5) / height);
      for (let c = 0; c < 3; c++) raw[y * (1 + 3 * width) + 1 + 3 * x + c] = Math.max(0, Math.min(255, Math.round(color[c])));
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([signature, chunk("IHDR", head), chunk("IDAT", deflateSync(raw)), chunk("IEND", Buffer.alloc(0))]);
}

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Binary16, rounded to the nearest. */
function half(value) {
  float[0] = value;
  const exponent = ((bits[0] >> 23) & 255) - 112;
  const sign = (bits[0] >>> 16) & 0x8000;
  if (exponent <= 0) return sign | Math.min(1023, Math.round(Math.abs(value) * 2 ** 24));
  return (sign | (exponent << 10) | ((bits[0] >> 13) & 1023)) + ((bits[0] >> 12) & 1);
}

const WRITERS = {
  F32: (data) => Buffer.from(Float32Array.from(data).buffer),
  I32: (data) => Buffer.from(Int32Array.from(data).buffer),
  F16: (data) => Buffer.from(Uint16Array.from(data, half).buffer),
};

/** `arrays`: name → [dtype, shape, values]. */
export function safetensors(arrays, meta) {
  const header = { __metadata__: { json: JSON.stringify(meta) } };
  const parts = [];
  let at = 0;
  for (const [name, [dtype, shape, data]] of Object.entries(arrays)) {
    const bytes = WRITERS[dtype](data);
    header[name] = { dtype, shape, data_offsets: [at, at + bytes.length] };
    at += bytes.length;
    parts.push(bytes);
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...parts]);
}
