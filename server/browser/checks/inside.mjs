// Heads off, depth, space.
import { answer, clickAt, differs, equal, holds, seen, settled, text, told, until } from "../support.mjs";

export const inside = {
  async "heads are switched off, to nothing and to their mean"({ page }) {
    await page.keyboard.press("4");
    await settled(page);
    holds(/Everything is on/.test(await text(page, ".intervention .sentence")), "something is off at first");
    await page.locator('[data-key="2 head 1"]').click();
    await until(page, () => /→/.test(document.querySelector(".pairs").textContent));
    await settled(page);
    const first = await text(page, ".pairs");
    await page.locator('.view-heads input[value="mean"]').check({ force: true });
    await page.locator('[data-key="1 mlp "]').click();
    await until(page, (first) => document.querySelector(".pairs").innerText !== first, first);
    equal(await page.locator('[data-key="1 mlp "]').innerText(), "x̄", "mark of a mean");
    equal(await page.locator('[data-key="1 mlp "]').getAttribute("aria-pressed"), "false", "state of a switch");
    holds(await page.locator(".maps2 canvas").first().isVisible(), "no maps");
    await settled(page);
  },

  async "the answer with a head off is the server's"({ page }) {
    await page.getByRole("button", { name: "All on" }).first().click();
    await page.locator('.view-heads input[value="zero"]').check({ force: true });
    await page.locator('[data-key="2 head 1"]').click();
    await until(page, () => /→/.test(document.querySelector(".pairs").textContent));
    await settled(page);
    const { name, after } = await page.evaluate(async (image) => {
      const { readArrays } = await import("/core/arrays.js");
      const lab = await (await fetch("/api/lab")).json();
      const { name } = lab.models.find((model) => model.attention);
      const body = JSON.stringify({ image, off: [{ layer: 2, part: "head", head: 1, by: "zero" }], maps: false });
      const { meta } = readArrays(await (await fetch(`/api/models/${encodeURIComponent(name)}/intervene`, { method: "POST", headers: { "X-Archaeo": "1", "Content-Type": "application/json" }, body })).arrayBuffer());
      return { name, after: meta.after.top[0] };
    }, await told(page, "image"));
    const rows = await page.locator(`.view-heads [data-model="${name}"] .pairs li`).allInnerTexts();
    const row = rows.find((line) => line.startsWith(after.name.split(",")[0]));
    holds(row, `${after.name} is not among ${rows}`);
    holds(Math.abs(parseFloat(row.split("→")[1]) / 100 - after.probability) < 0.006, `${row} is not ${after.probability}`);
  },

  async "a head from another image"({ page }) {
    await page.locator('.view-heads input[value="image"]').check({ force: true });
    await page.locator("dialog .picker button").nth(1).click();
    await page.locator('[data-key="3 head 1"]').click();
    equal(await page.locator('[data-key="3 head 1"]').innerText(), "P", "mark of a patched head");
    await settled(page);
    await page.getByRole("button", { name: "All on" }).first().click();
    await until(page, () => /Everything is on/.test(document.querySelector(".intervention .sentence").textContent));
  },

  async "blocks of a CNN"({ page }) {
    const block = page.locator('[data-key="2 block "]');
    if (!(await block.count())) return;
    const model = page.locator(".model:has([data-key=\"2 block \"])");
    await block.first().click();
    await until(page, () => /→/.test(document.querySelector('.model:has([data-key="2 block "]) .pairs').textContent));
    await model.first().getByRole("button", { name: "All on" }).click();
  },

  async "depth: layers are scrubbed"({ page }) {
    await page.keyboard.press("5");
    await page.locator(".view-depth .lines >> visible=true").first().waitFor();
    await settled(page);
    if (!(await page.locator(".says li").count())) {
      holds(/has no logit lens/.test(await text(page, ".view-depth")), "it is not said why there is no lens");
      equal(await page.locator(".view-depth .lines >> visible=true").count(), 2, "charts without a lens");
      return;
    }
    const lens = (await page.locator(".layers button").count()) > 0;
    const before = lens ? await seen(page, ".view-depth canvas.map") : 0;
    await page.locator(".says button").nth(1).click();
    equal(await told(page, "layer"), "2", "layer");
    await page.keyboard.press("ArrowRight");
    equal(await told(page, "layer"), "3", "layer after the arrow key");
    if (lens) {
      await page.locator(".layers button").last().click();
      differs(before, await seen(page, ".view-depth canvas.map"), "the lens");
      await page.locator('.view-depth input[value="class"]').first().check({ force: true });
      holds(await page.locator(".classes li").count() >= 2, "no names of classes");
      await page.locator('.view-depth input[value="target"]').first().check({ force: true });
    }
    equal(await page.locator(".view-depth .lines").count(), 4, "charts");
  },

  async "depth: the read-out's classes are the server's"({ page }) {
    const names = await page.evaluate(async (image) => {
      const { readArrays } = await import("/core/arrays.js");
      const lab = await (await fetch("/api/lab")).json();
      const { name } = lab.models.find((model) => model.attention);
      const { meta } = readArrays(await (await fetch(`/api/models/${encodeURIComponent(name)}/depth?image=${image}`)).arrayBuffer());
      return meta.layers.flatMap((layer) => (layer.read_out ? [layer.read_out.name.split(",")[0]] : []));
    }, await told(page, "image"));
    equal((await page.locator(".says .name").allInnerTexts()).slice(0, names.length).join(), names.join(), "classes by layer");
  },

  async "space: turned with the mouse and keys, a head is picked"({ page }) {
    await page.keyboard.press("6");
    await page.locator(".scene .pin").first().waitFor();
    await settled(page);
    const canvas = ".scene canvas";
    const before = await seen(page, canvas);
    const box = await page.locator(canvas).boundingBox();
    await page.mouse.move(box.x + 0.5 * box.width, box.y + 0.8 * box.height);
    await page.mouse.down();
    await page.mouse.move(box.x + 0.6 * box.width, box.y + 0.75 * box.height, { steps: 5 });
    await page.mouse.up();
    await page.waitForTimeout(200);
    const turned = await seen(page, canvas);
    differs(before, turned, "the scene");
    await page.locator(canvas).focus();
    await page.keyboard.press("ArrowLeft");
    await page.waitForTimeout(200);
    differs(turned, await seen(page, canvas), "the scene after a key");
    await page.keyboard.press("0");
    await page.waitForTimeout(200);
    equal(await seen(page, canvas), before, "the scene after a reset");
    const chosen = `${await told(page, "layer")} ${await told(page, "head")}`;
    let picked = false;
    for (let x = 0.3; x < 0.75 && !picked; x += 0.07) for (const y of [0.4, 0.5, 0.6]) {
      await clickAt(page, canvas, x, y);
      picked ||= `${await told(page, "layer")} ${await told(page, "head")}` !== chosen;
    }
    holds(picked, "no head was picked");
  },

  async "attention is there after all"({ page }) {
    await page.keyboard.press("1");
    await settled(page);
    const lab = await answer(page, "/api/lab");
    holds(await page.locator(".head").count() === lab.models.flatMap((model) => model.attention?.heads ?? []).reduce((a, b) => a + b, 0), "heads are missing");
  },
};
