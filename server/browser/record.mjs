// Records what the page asks when it opens on the bundled models, so that it shows a finished state before any model has run:
//   node record.mjs ADDRESS     of `archaeo lab` without arguments; writes ../page/first/state.json
import { mkdirSync, writeFileSync } from "node:fs";
import { answer, openBrowser, settled, told, visit } from "./support.mjs";

const [address] = process.argv.slice(2);
const browser = await openBrowser();
const { page } = await visit(browser, address);
const asked = new Set();
await page.route("**/first/state.json", (route) => route.fulfill({ status: 404, body: "" }));
page.on("request", (request) => asked.add(new URL(request.url()).pathname + new URL(request.url()).search));
await page.reload();
await page.waitForSelector(".answer .guess");
await settled(page);
await page.waitForTimeout(1500);
const answers = {};
for (const path of [...asked].filter((path) => /^\/api\/(models|images\/\w+$)/.test(path)).sort()) {
  const { type, bytes } = await page.evaluate(async (path) => {
    const response = await fetch(path);
    const bytes = new Uint8Array(await response.arrayBuffer());
    return { type: response.headers.get("Content-Type"), bytes: btoa([...bytes].map((byte) => String.fromCharCode(byte)).join("")) };
  }, path);
  answers[path] = type.startsWith("application/json") ? JSON.parse(Buffer.from(bytes, "base64")) : bytes;
}
const { models } = await answer(page, "/api/lab");
const state = { image: await told(page, "image"), models: models.map(({ name, title, parameters }) => ({ name, title, parameters })), answers };
mkdirSync(new URL("../page/first/", import.meta.url), { recursive: true });
writeFileSync(new URL("../page/first/state.json", import.meta.url), JSON.stringify(state));
console.log(Object.keys(answers).join("\n"));
await browser.close();
