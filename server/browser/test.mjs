// The lab's page in a real browser:
//   node test.mjs ADDRESS [FOLDER]     a running lab, with its token; screenshots go to FOLDER
//   node test.mjs mock [FOLDER]        the made-up server of this folder
//   node test.mjs ADDRESS FOLDER NAME  only checks whose name contains NAME
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openBrowser, visit } from "./support.mjs";
import { images } from "./checks/images.mjs";
import { attention } from "./checks/attention.mjs";
import { explanations } from "./checks/explanations.mjs";
import { attack } from "./checks/attack.mjs";
import { inside } from "./checks/inside.mjs";
import { look, whole } from "./checks/page.mjs";

const [where = "mock", folder, only = ""] = process.argv.slice(2);
if (folder) mkdirSync(folder, { recursive: true });

async function startMock() {
  const server = spawn(process.execPath, [fileURLToPath(new URL("mock.mjs", import.meta.url)), "0"], { stdio: ["ignore", "pipe", "inherit"] });
  const address = await new Promise((resolve) => server.stdout.once("data", (line) => resolve(String(line).trim())));
  return { address, stop: () => server.kill() };
}

const server = where === "mock" ? await startMock() : { address: where, stop: () => {} };
const { address } = server;
const browser = await openBrowser();
let [passed, failed] = [0, 0];

async function check(name, run) {
  if (!name.includes(only)) return;
  const start = performance.now();
  try {
    const problems = (await run()) ?? [];
    if (problems.length) throw new Error(problems.slice(0, 8).join("\n    "));
    passed++;
    console.log(`ok    ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}\n    ${error.message.split("\n").slice(0, 9).join("\n    ")}`);
  }
}

try {
  // One visitor goes through all views in order, as a person would.
  for (const [group, checks] of Object.entries({ images, attention, explanations, attack, inside })) {
    const names = Object.keys(checks).filter((name) => `${group}: ${name}`.includes(only));
    if (!names.length) continue;
    const { page, problems, close } = await visit(browser, address);
    for (const name of names) {
      await check(`${group}: ${name}`, () => checks[name]({ page }));
      if (folder) await page.screenshot({ path: `${folder}/${group}-${name.replace(/\W+/g, "-").slice(0, 48)}.png` });
    }
    await check(`${group}: nothing on the console, nothing from elsewhere`, () => problems);
    await close();
  }
  for (const [name, run] of Object.entries(whole)) await check(`page: ${name}`, () => run({ browser, address }));
  for (const width of [390, 1366]) {
    for (const scheme of ["light", "dark"]) await check(`page: every view, ${width} px, ${scheme}`, () => look({ browser, address, folder, width, scheme }));
  }
} finally {
  await browser.close();
  server.stop();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
