// Pictures of the documentation, as PNG files:
//   node pictures.mjs ADDRESS FOLDER [IMAGE]     of a lab with a transformer first; docs/images/lab*.webp are made of them
import { mkdirSync } from "node:fs";
import { openBrowser, pointAt, settled, visit } from "./support.mjs";

const [address, folder, image = "d1"] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = await openBrowser();
const { page } = await visit(browser, address, { width: 1366, height: 800, fragment: `image=${image}&view=attention&layer=7&head=2` });
let frames = 0;
const frame = async (name = `frame-${String(++frames).padStart(2, "0")}`) => {
  await settled(page);
  await page.screenshot({ path: `${folder}/${name}.png` });
};
const open = async (view, more = "") => {
  await page.evaluate((to) => (location.hash = to), `image=${image}&view=${view}&layer=7&head=2${more}`);
  await page.locator(`.view-${view}`).waitFor();
  await page.waitForTimeout(400);
};

await page.locator('.model input[value="clipped"]').first().check({ force: true });
await frame();
for (const [x, y] of [[0.2, 0.2], [0.35, 0.4], [0.5, 0.55], [0.62, 0.62], [0.75, 0.75]]) {
  await pointAt(page, ".subject canvas", x, y);
  await page.waitForTimeout(150);
  await frame();
}
await page.mouse.move(5, 500);
await open("attention", "&query=0.46,0.46");
await frame("attention");
await open("explanations");
await frame();
await frame("explanations");
await open("attack");
await page.locator(".attack-form .primary").click();
await page.locator(".outcome .sentence").waitFor();
const last = Number(await page.locator(".scrub input").getAttribute("max"));
for (let step = 0; step <= last; step += Math.max(1, Math.round(last / 5))) {
  await page.locator(".scrub input").evaluate((input, step) => ((input.value = String(step)), input.dispatchEvent(new Event("input", { bubbles: true }))), step);
  await page.waitForTimeout(300);
  await frame();
}
await frame("attack");
await open("heads");
const keys = await page.locator('.switch[data-key*="head"]').evaluateAll((buttons) => buttons.map((button) => button.dataset.key));
for (const key of keys.filter((_, i) => i % 3 === 1).slice(0, 6)) {
  await page.locator(`[data-key="${key}"]`).first().click();
  await page.waitForTimeout(300);
}
await page.waitForTimeout(500);
await frame();
await frame("heads");
await open("depth");
const layers = await page.locator(".layers button").count();
for (const layer of [Math.ceil(layers / 2), layers - 1, layers]) {
  await page.locator(".layers button").nth(layer - 1).click();
  await frame();
}
await frame("depth");
await open("space", "&query=0.46,0.46");
await page.locator(".scene .pin").first().waitFor();
for (let turn = 0; turn < 4; turn++) {
  await frame(turn === 0 ? "space" : undefined);
  await page.locator(".scene canvas").focus();
  for (let i = 0; i < 2; i++) await page.keyboard.press("ArrowRight");
}
await browser.close();
