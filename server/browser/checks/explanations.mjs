// Methods on every model side by side, with baselines and verdicts; the class asked about.
import { answer, differs, equal, holds, pointAt, seen, settled, text, told, until } from "../support.mjs";

export const explanations = {
  async "every model, with baselines"({ page }) {
    await page.keyboard.press("2");
    await page.locator(".cell").first().waitFor();
    await settled(page);
    equal(await told(page, "view"), "explanations", "view");
    const lab = await answer(page, "/api/lab");
    for (const model of lab.models) holds(await page.locator(`.cell[data-model="${model.name}"]`).count() > 0, `no map of ${model.name}`);
    const baselines = lab.methods.filter((method) => method.kind === "baseline" && lab.models[0].methods.includes(method.id)).length;
    equal(await page.locator(".baselines").first().locator("canvas").count(), baselines, "baselines");
  },

  async "methods are added and taken away"({ page }) {
    const before = await page.locator(".method[data-method]").count();
    const box = page.locator(".chooser input:not(:checked)").first();
    const id = await box.getAttribute("value");
    await box.check({ force: true });
    await settled(page);
    equal(await page.locator(".method[data-method]").count(), before + 1, "methods");
    holds((await told(page, "method")).split(",").includes(id), "the address does not name it");
    await page.locator(`.chooser input[value="${id}"]`).uncheck({ force: true });
    equal(await page.locator(".method[data-method]").count(), before, "methods");
  },

  async "a value under the pointer, in all maps"({ page }) {
    await page.locator('.cell[data-method="grad-cam"] canvas').first().scrollIntoViewIfNeeded();
    await pointAt(page, '.cell[data-method="grad-cam"] canvas.map', 0.5, 0.5);
    for (const reading of await page.locator('.cell[data-method="grad-cam"] .reading').allInnerTexts()) holds(/row \d+, column \d+: /.test(reading), `no value: ${reading}`);
  },

  async "the map's end is the server's highest value"({ page }) {
    await page.locator('.view-explanations input[value="own"]').check({ force: true });
    const { name, highest } = await page.evaluate(async (image) => {
      const { readArrays } = await import("/core/arrays.js");
      const lab = await (await fetch("/api/lab")).json();
      const { name } = lab.models.find((model) => model.methods.includes("grad-cam"));
      const { meta } = readArrays(await (await fetch(`/api/models/${encodeURIComponent(name)}/explain?image=${image}&method=grad-cam`)).arrayBuffer());
      return { name, highest: meta.highest };
    }, await told(page, "image"));
    const shown = await text(page, `.cell[data-method="grad-cam"][data-model="${name}"] .colorbar .number:nth-of-type(2)`);
    const number = Number(shown.replace("−", "-"));
    if (!Number.isNaN(number)) holds(Math.abs(number - highest) <= 0.006 * Math.abs(highest), `${shown} is not ${highest}`);
    await page.locator('.view-explanations input[value="common"]').check({ force: true });
    holds((await text(page, '.cell[data-method="grad-cam"] .colorbar')).includes("its mean"), "the common scale has no unit");
  },

  async "measured on this image"({ page }) {
    await page.getByRole("button", { name: "Measure on this image" }).first().click();
    await page.locator(".measured").first().waitFor();
    holds(/better than random:/i.test(await text(page, ".verdict:has(.measured)")), "no verdict");
  },

  async "another class, from the answers and by search"({ page }) {
    await page.keyboard.press("Escape");
    const guess = page.locator(".guess").nth(1);
    const name = (await guess.locator(".name").innerText()).replace(" · label", "");
    const before = await seen(page, '.cell[data-method="grad-cam"] canvas');
    await guess.click();
    await settled(page);
    equal(await told(page, "target"), await guess.getAttribute("data-class"), "target in the address");
    await until(page, (name) => document.querySelector('.cell[data-method="grad-cam"] .words').textContent.includes(name), name);
    differs(before, await seen(page, '.cell[data-method="grad-cam"] canvas'), "the map");
    const lab = await answer(page, "/api/lab");
    const classes = lab.models.find((model) => model.name === lab.models[0].name).classes;
    const wanted = classes.length - 1;
    await page.locator(".asked input").fill(classes[wanted]);
    await page.locator(".asked input").press("Enter");
    await settled(page);
    equal(await told(page, "target"), String(wanted), "target by search");
    await page.getByRole("button", { name: "Ask about the prediction again" }).click();
    equal(await told(page, "target"), null, "target after letting go");
  },
};
