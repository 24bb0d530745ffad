// One selection shared by all maps; numbers of the heads; rollout within a frame.
import { answer, clickAt, differs, equal, holds, pointAt, seen, settled, text, told, until } from "../support.mjs";

const HEAD = '.head[data-layer="3"][data-head="1"]';
const OVERLAY = ".overlay canvas.map";
const ROLLOUT = ".rollout canvas.map";

const attentive = async (page) => (await answer(page, "/api/lab")).models.find((model) => model.attention);

export const attention = {
  async "pointing at a patch asks from it in every head"({ page }) {
    await page.keyboard.press("Escape");
    await settled(page);
    const before = [await seen(page, `${HEAD} canvas`), await seen(page, OVERLAY)];
    await pointAt(page, ".subject canvas", 0.3, 0.6);
    await until(page, () => /marked patch/.test(document.querySelector(".overlay .asking").textContent));
    differs(before[0], await seen(page, `${HEAD} canvas`), "a small map");
    differs(before[1], await seen(page, OVERLAY), "the large map");
    equal(await told(page, "query"), null, "query while pointing");
    await page.mouse.move(700, 5);
    await page.waitForTimeout(150);
    equal(await seen(page, `${HEAD} canvas`), before[0], "small map after leaving");
  },

  async "clicking keeps the patch, Escape lets it go"({ page }) {
    await clickAt(page, ".subject canvas", 0.52, 0.4);
    await settled(page);
    const model = await attentive(page);
    const [rows, columns] = model.attention.grids[0];
    const [y, x] = (await told(page, "query")).split(",").map(Number);
    equal(`${Math.floor(y * rows)} ${Math.floor(x * columns)}`, `${Math.floor(0.4 * rows)} ${Math.floor(0.52 * columns)}`, "patch in the address");
    await page.mouse.move(700, 5);
    await page.keyboard.press("Escape");
    equal(await told(page, "query"), null, "query after Escape");
  },

  async "the keyboard moves the patch"({ page }) {
    await page.locator(".subject canvas").focus();
    await page.keyboard.press("ArrowRight");
    const first = await told(page, "query");
    await page.keyboard.press("ArrowDown");
    differs(first, await told(page, "query"), "the query");
    await page.keyboard.press("Escape");
    await page.locator("#view").focus();
  },

  async "pointing at a head shows it large"({ page }) {
    const before = [await text(page, ".overlay h3"), await seen(page, OVERLAY)];
    await page.locator(HEAD).hover();
    await until(page, () => document.querySelector(".overlay h3").textContent === "Layer 3, head 1");
    differs(before[1], await seen(page, OVERLAY), "the large map");
    await page.mouse.move(700, 5);
    await until(page, (title) => document.querySelector(".overlay h3").textContent === title, before[0]);
  },

  async "a chosen head, its numbers as the server's"({ page }) {
    await page.locator(HEAD).click();
    equal(`${await told(page, "layer")} ${await told(page, "head")}`, "3 1", "head in the address");
    const model = await attentive(page);
    await page.locator(".overlay .numbers").waitFor();
    const { layers } = await answer(page, `/api/models/${encodeURIComponent(model.name)}/heads?image=${await told(page, "image")}`);
    const numbers = await text(page, ".overlay .numbers");
    holds(numbers.includes(layers[2].heads[0].entropy.toFixed(2)), `entropy ${layers[2].heads[0].entropy} is not in ${numbers}`);
    if (model.atlas) holds((await text(page, ".overlay .role")).includes(model.atlas[2][0].label), "no role");
    const label = await page.locator(HEAD).getAttribute("aria-label");
    holds(/most on row \d+, column \d+/.test(label), `the head is not described: ${label}`);
  },

  async "keys step through layers and heads"({ page }) {
    await page.locator("#view").focus();
    await page.keyboard.press("ArrowRight");
    equal(await told(page, "layer"), "4", "layer");
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("j");
    const model = await attentive(page);
    equal(`${await told(page, "layer")} ${await told(page, "head")}`, model.attention.heads[2] > 1 ? "3 2" : "4 1", "head");
    await page.keyboard.press("k");
    equal(`${await told(page, "layer")} ${await told(page, "head")}`, "3 1", "head");
  },

  async "the shown weights are the server's"({ page }) {
    const model = await attentive(page);
    const best = await page.evaluate(async ([name, image]) => {
      const { readArrays } = await import("/core/arrays.js");
      const { arrays } = readArrays(await (await fetch(`/api/models/${encodeURIComponent(name)}/row?image=${image}&query=readout`)).arrayBuffer());
      const [, rows, columns] = arrays.layer_3.shape;
      const values = arrays.layer_3.data.subarray(0, rows * columns);
      const at = values.indexOf(Math.max(...values));
      return { row: Math.floor(at / columns) + 1, column: (at % columns) + 1, value: values[at] };
    }, [model.name, await told(page, "image")]);
    const label = await page.locator(OVERLAY).getAttribute("aria-label");
    holds(label.includes(`row ${best.row}, column ${best.column}`), `${label}: expected row ${best.row}, column ${best.column}`);
  },

  async "rollout follows a slider within a frame and rests exactly"({ page }) {
    const before = await seen(page, ROLLOUT);
    const slider = page.locator('.rollout input[aria-label="Discard"]');
    const time = await slider.evaluate((input) => {
      input.value = "0.5";
      const start = performance.now();
      input.dispatchEvent(new Event("input", { bubbles: true }));
      return performance.now() - start;
    });
    const { whole } = (await attentive(page)).attention;
    // Without whole matrices the server computes while the slider moves.
    if (whole) holds(time < 100, `a slider took ${time.toFixed(0)} ms`);
    else await until(page, () => document.querySelector(".rollout canvas.map").dataset.figure.includes("50 % discarded"));
    const quick = await seen(page, ROLLOUT);
    differs(before, quick, "the rollout");
    await slider.dispatchEvent("change");
    await until(page, () => document.querySelector(".rollout canvas.map").dataset.by === "Exact.");
    for (const [name, value] of [["From layer", "2"], ["Discard", "0"]]) {
      const at = await seen(page, ROLLOUT);
      await page.locator(`.rollout input[aria-label="${name}"]`).evaluate((input, value) => {
        input.value = value;
        input.dispatchEvent(new Event("input", { bubbles: true }));
        input.dispatchEvent(new Event("change", { bubbles: true }));
      }, value);
      await until(page, () => document.querySelector(".rollout canvas.map").dataset.by === "Exact.");
      differs(at, await seen(page, ROLLOUT), name);
    }
    const fused = await seen(page, ROLLOUT);
    await page.locator('.rollout input[value="max"]').check({ force: true });
    await until(page, () => document.querySelector(".rollout canvas.map").dataset.by === "Exact.");
    differs(fused, await seen(page, ROLLOUT), "fusion");
  },

  async "the page's rollout is the server's"({ page }) {
    const model = await attentive(page);
    if (!model.attention.whole) return;
    const far = await page.evaluate(async ([name, image, prefix]) => {
      const [{ readArrays }, { fuse, rollout }] = await Promise.all([import("/core/arrays.js"), import("/core/rollout.js")]);
      const get = async (question) => readArrays(await (await fetch(`/api/models/${encodeURIComponent(name)}/${question}`)).arrayBuffer());
      const { arrays, meta } = await get(`attention?image=${image}`);
      let worst = 0;
      for (const [fusion, discard, start] of [["mean", 0, 1], ["max", 0.5, 2], ["min", 0.9, 1]]) {
        const own = rollout(fuse(arrays.attention, fusion), arrays.attention.shape[2], prefix, meta.read_out_weights, discard, start);
        const { data } = (await get(`rollout?image=${image}&fusion=${fusion}&discard=${discard}&start=${start}&query=readout`)).arrays.map;
        const most = Math.max(...data);
        for (let i = 0; i < data.length; i++) worst = Math.max(worst, Math.abs(data[i] - own[i]) / most);
      }
      return worst;
    }, [model.name, await told(page, "image"), model.attention.prefix]);
    // Half precision loses up to 2⁻¹¹ of each weight; where two entries swap ranks in discarding, more.
    holds(far < 0.02, `the page's rollout is ${far} of the maximum away`);
  },

  async "ways to draw a map"({ page }) {
    const over = await seen(page, OVERLAY);
    await page.locator('.model input[value="heat"]').first().check({ force: true });
    const heat = await seen(page, OVERLAY);
    differs(over, heat, "colours alone");
    await page.locator('.model input[value="light"]').first().check({ force: true });
    differs(heat, await seen(page, OVERLAY), "light");
    await page.locator('.model input[value="over"]').first().check({ force: true });
    const own = await seen(page, `${HEAD} canvas`);
    await page.locator('.model input[value="clipped"]').first().check({ force: true });
    differs(own, await seen(page, `${HEAD} canvas`), "a clipped scale");
    await page.locator('.model input[value="common"]').first().check({ force: true });
    differs(own, await seen(page, `${HEAD} canvas`), "one scale");
    await page.locator('.model input[value="own"]').first().check({ force: true });
  },
};
