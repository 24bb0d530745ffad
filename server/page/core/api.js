/** @import { Arrays } from "./types.js" */
import { readArrays } from "./arrays.js";

/** An answer that is an error, as one sentence for the reader. */
export class LabError extends Error {}

const SILENT = "The lab does not answer. Check that archaeo lab is still running, then try again.";

/** Questions that take computation: few at a time, because the server keeps a short queue for each visitor. */
const AT_ONCE = 2;
let running = 0;
/** @type {{go: () => void, drop: (reason: unknown) => void}[]} */
let waiting = [];
/** Aborted when what is asked for is no longer looked at. */
let current = new AbortController();

/** Gives up all questions that are not answered: another image is on the table. */
export function forgetQuestions() {
  const dropped = waiting;
  waiting = [];
  current.abort();
  current = new AbortController();
  for (const { drop } of dropped) drop(new DOMException("Another image is on the table.", "AbortError"));
}

/** Answers, most recent last. @type {Map<string, Promise<any>>} */
const kept = new Map();
const KEPT = 96;

/** @param {number} milliseconds */
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
async function request(path, options = {}) {
  for (let tries = 0; ; tries++) {
    /** @type {Response} */
    let response;
    try {
      response = await fetch(path, { credentials: "same-origin", ...options });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new LabError(SILENT);
    }
    if (response.ok) return response;
    if (response.status === 503 && tries < 40) {
      await pause(1000 * Math.min(2, Number(response.headers.get("Retry-After") ?? 0.2) || 0.2));
      continue;
    }
    throw new LabError(await sentence(response));
  }
}

/** @param {Response} response */
async function sentence(response) {
  const text = await response.text().catch(() => "");
  try {
    return JSON.parse(text).error;
  } catch {
    const plain = text && !text.trimStart().startsWith("<") ? text.trim() : "";
    return plain || `The lab answered ${response.status} ${response.statusText}. Reload the page.`;
  }
}

/** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
async function inTurn(work) {
  if (running >= AT_ONCE) await new Promise((resolve, reject) => waiting.push({ go: () => resolve(null), drop: reject }));
  running++;
  try {
    return await work();
  } finally {
    running--;
    waiting.shift()?.go();
  }
}

/** @template T @param {string} key @param {() => Promise<T>} work @returns {Promise<T>} */
function keep(key, work) {
  const old = kept.get(key);
  const promise = old ?? inTurn(work);
  kept.delete(key);
  kept.set(key, promise);
  if (!old) promise.catch(() => kept.delete(key));
  for (const oldest of kept.keys()) {
    if (kept.size <= KEPT) break;
    kept.delete(oldest);
  }
  return promise;
}

/**
 * Answers that are known before anything is computed: JSON, or the bytes of arrays in base64.
 * @param {Record<string, any>} answers By path.
 */
export function know(answers) {
  for (const [path, answer] of Object.entries(answers)) {
    const bytes = typeof answer === "string" ? Uint8Array.from(atob(answer), (c) => c.charCodeAt(0)) : null;
    kept.set(path, Promise.resolve(bytes ? readArrays(bytes.buffer) : answer));
  }
}

/** @param {string} path @returns {Promise<any>} The JSON at `path`, kept for the next time. */
export const ask = (path) => keep(path, async () => (await request(path, { signal: current.signal })).json());

/** @param {string} path @returns {Promise<any>} The JSON at `path` as it is now, out of turn. */
export const askAgain = async (path) => (await request(path, { cache: "no-store" })).json();

/** @param {string} path @returns {Promise<Arrays>} The arrays at `path`, kept for the next time. */
export const askArrays = (path) => keep(path, async () => readArrays(await (await request(path, { signal: current.signal })).arrayBuffer()));

/**
 * @param {string} path
 * @param {object} body
 * @param {AbortSignal} [signal]
 */
export const post = async (path, body, signal) =>
  request(path, { method: "POST", headers: { "Content-Type": "application/json", "X-Archaeo": "1" }, body: JSON.stringify(body), signal });

/** @param {string} path @param {object} body @returns {Promise<Arrays>} */
export const postForArrays = (path, body) =>
  keep(`${path} ${JSON.stringify(body)}`, async () => readArrays(await (await post(path, body, current.signal)).arrayBuffer()));

/** @param {string} name @param {Blob} file @returns {Promise<{id: string, name: string, width: number, height: number, hash: string}>} */
export async function upload(name, file) {
  const response = await request(`/api/images?name=${encodeURIComponent(name)}`, { method: "POST", headers: { "X-Archaeo": "1" }, body: file });
  return response.json();
}

/** @param {string} path */
export const remove = (path) => request(path, { method: "DELETE", headers: { "X-Archaeo": "1" } });

/**
 * The address of a question to a model.
 * @param {string} model
 * @param {string} question
 * @param {Record<string, string|number|null|undefined>} parameters
 */
export function questionPath(model, question, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
  const query = given.map(([key, value]) => `${key}=${encodeURIComponent(String(value)).replaceAll("%2C", ",")}`).join("&");
  return `/api/models/${encodeURIComponent(model)}/${question}?${query}`;
}

/** @param {string} image @param {string} model */
export const inputPath = (image, model) => `/api/images/${encodeURIComponent(image)}/input/${encodeURIComponent(model)}.png`;

/** @param {string} image @param {number} [side] */
export const imagePath = (image, side) => `/api/images/${encodeURIComponent(image)}.png${side ? `?side=${side}` : ""}`;
