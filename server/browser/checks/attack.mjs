// An attack streams, can be scrubbed, stopped, saved and examined.
import { answer, differs, equal, holds, seen, settled, text, told, until } from "../support.mjs";

const IMAGE = ".film canvas.map";
const DIFFERENCE = '.film canvas[data-figure^="Perturbation"]';

export const attack = {
  async "steps stream in, with every model's answer"({ page }) {
    await page.keyboard.press("3");
    await page.locator('.field input[aria-label="Steps"]').fill("6");
    await page.locator('.field input[aria-label="Steps"]').press("Tab");
    await page.getByRole("button", { name: "Attack", exact: true }).click();
    await page.locator(".outcome .sentence").waitFor();
    const last = Number(await page.locator(".scrub input").getAttribute("max"));
    holds(last >= 1, "no steps were shown");
    holds((await page.locator(".lines path.line").first().getAttribute("d")).split("L").length === last + 1, "the chart has not all steps");
    const lab = await answer(page, "/api/lab");
    equal(await page.locator(".effect").count(), lab.models.filter((model) => model.classes.length).length, "models watched");
    if (lab.models.some((model) => model.attention)) holds(await page.locator(".drift").first().isVisible(), "no drift of the heads");
    holds(/now says|still says/.test(await text(page, ".outcome .sentence")), "no outcome");
  },

  async "scrubbing goes back and forth"({ page }) {
    const scrub = page.locator(".scrub input");
    const go = async (to) => {
      await scrub.evaluate((input, to) => ((input.value = to), input.dispatchEvent(new Event("input", { bubbles: true }))), String(to));
      await page.waitForTimeout(400);
    };
    const last = [await seen(page, IMAGE), await seen(page, DIFFERENCE)];
    await go(0);
    holds((await text(page, ".film figcaption, .film figure p")).startsWith("Step 0"), "step 0 is not named");
    differs(last[0], await seen(page, IMAGE), "the image");
    differs(last[1], await seen(page, DIFFERENCE), "the perturbation");
    await page.locator("#view").focus();
    await page.keyboard.press("ArrowRight");
    equal(await scrub.inputValue(), "1", "step after the arrow key");
    await go(Number(await scrub.getAttribute("max")));
    equal(await seen(page, IMAGE), last[0], "the last image again");
    await page.getByRole("button", { name: "Play" }).click();
    await until(page, () => document.querySelector(".scrub button").textContent === "Play");
  },

  async "the gain of the perturbation"({ page }) {
    const before = await seen(page, DIFFERENCE);
    await page.locator('.film input[aria-label="Gain"]').evaluate((input) => ((input.value = "60"), input.dispatchEvent(new Event("input", { bubbles: true }))));
    await page.waitForTimeout(300);
    differs(before, await seen(page, DIFFERENCE), "the perturbation");
  },

  async "the adversarial image is saved"({ page }) {
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Save image" }).click()]);
    const stream = await download.createReadStream();
    const parts = [];
    for await (const part of stream) parts.push(part);
    equal(Buffer.concat(parts).subarray(1, 4).toString(), "PNG", "what was saved");
  },

  async "the adversarial image is examined elsewhere"({ page }) {
    await page.getByRole("button", { name: "Examine it in the other views" }).click();
    await settled(page);
    holds((await told(page, "image")).startsWith("a"), "the address has no adversarial image");
    await page.keyboard.press("1");
    await settled(page);
    holds(await page.locator(".overlay canvas.map").first().isVisible(), "no attention of it");
    await page.locator(".thumbs button:not(.own)").first().click();
    await settled(page);
  },

  async "an attack is stopped"({ page }) {
    await page.keyboard.press("3");
    await page.locator('select[aria-label="Attack"]').selectOption("ddn").catch(() => {});
    const steps = page.locator('.field input[aria-label="Steps"]');
    await steps.fill("900");
    await steps.press("Tab");
    await page.getByRole("button", { name: "Attack", exact: true }).click();
    await until(page, () => Number(document.querySelector(".scrub input")?.max) >= 2 && /Attacking/.test(document.querySelector(".outcome").textContent));
    await page.getByRole("button", { name: "Stop" }).click();
    await until(page, () => /Stopped/.test(document.querySelector(".outcome").textContent));
    const at = await page.locator(".scrub input").getAttribute("max");
    await page.waitForTimeout(500);
    equal(await page.locator(".scrub input").getAttribute("max"), at, "steps after stopping");
  },
};
