// What the checks share: the browser, what a canvas shows, and how a check waits.
import { chromium } from "playwright-core";
import { existsSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FLAGS = [
  "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--enable-unsafe-swiftshader", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
];
/** A question to a model may take this long on a busy machine. */
export const PATIENCE = Number(process.env.PATIENCE ?? 120_000);

export async function openBrowser() {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const names = process.env.CHROMIUM ? [process.env.CHROMIUM] : NAMES;
  const executablePath = names.flatMap((name) => (isAbsolute(name) ? [name] : folders.map((folder) => join(folder, name)))).find(existsSync);
  if (!executablePath) throw new Error("No Chromium was found. Install it, or name it in CHROMIUM.");
  return chromium.launch({ executablePath, args: FLAGS });
}

/**
 * A fresh visitor. `problems` gathers what must not happen: errors on the console, requests to elsewhere.
 */
export async function visit(browser, address, { width = 1366, height = 900, scheme = "light", walked = true, fragment = "", script = null } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, acceptDownloads: true, permissions: ["camera"] });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const problems = [];
  const origin = new URL(address).origin;
  page.on("console", (message) => {
    // Chromium itself reports every answer with an error status; the page shows those as sentences.
    if (message.type() === "error" && !/Failed to load resource: the server responded with a status of 4/.test(message.text())) problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !/^(data|blob):/.test(url)) problems.push(`request to ${url}`);
  });
  if (walked) await page.addInitScript(() => localStorage.setItem("archaeo-walk", "done"));
  if (script) await page.addInitScript(script);
  await page.goto(address + (fragment ? `#${fragment}` : ""));
  await page.waitForSelector(".answer .guess");
  await settled(page);
  return { page, problems, close: () => context.close() };
}

/** Nothing is being computed or loaded any more. */
export async function settled(page) {
  await page.waitForTimeout(120);
  await page.waitForFunction(() => !document.querySelector(".busy") && !document.querySelector(".waiting#opening"));
  await page.waitForTimeout(120);
}

/** What a canvas or image shows, as a number that changes with it. */
export const seen = (page, selector) => page.locator(selector).first().evaluate((element) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [64, 64];
  const context = canvas.getContext("2d");
  context.drawImage(element, 0, 0, 64, 64);
  let hash = 0;
  for (const byte of context.getImageData(0, 0, 64, 64).data) hash = (Math.imul(hash, 31) + byte) | 0;
  return hash;
});

/** Mean colour of a part of a canvas, given in shares of its width and height. */
export const colorOf = (page, selector, [x, y, w, h]) => page.locator(selector).first().evaluate((canvas, [x, y, w, h]) => {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext("2d");
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(x * copy.width, y * copy.height, Math.max(1, w * copy.width), Math.max(1, h * copy.height));
  const sums = [0, 0, 0];
  for (let i = 0; i < data.length; i += 4) for (let c = 0; c < 3; c++) sums[c] += data[i + c];
  return sums.map((sum) => (4 * sum) / data.length);
}, [x, y, w, h]);

/** What the address says. */
export const told = async (page, key) => new URLSearchParams(new URL(page.url()).hash.slice(1)).get(key);

export const text = (page, selector) => page.locator(selector).first().innerText();

/** The server's own answer, to compare what is shown with. */
export const answer = (page, path) => page.evaluate(async (path) => (await fetch(path)).json(), path);

export function equal(found, expected, what) {
  if (found !== expected) throw new Error(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`);
}

export function holds(condition, what) {
  if (!condition) throw new Error(what);
}

export const differs = (before, after, what) => holds(before !== after, `${what} did not change`);

/** Until `condition` of the page is true. */
export const until = (page, condition, argument) => page.waitForFunction(condition, argument);

/** Points at a place of an element, in shares of its width and height. */
export async function pointAt(page, selector, x, y) {
  const box = await page.locator(selector).first().boundingBox();
  await page.mouse.move(box.x + x * box.width, box.y + y * box.height);
  await page.waitForTimeout(80);
}

export async function clickAt(page, selector, x, y) {
  await page.locator(selector).first().scrollIntoViewIfNeeded();
  const box = await page.locator(selector).first().boundingBox();
  await page.mouse.click(box.x + x * box.width, box.y + y * box.height);
}
