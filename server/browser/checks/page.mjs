// The page as a whole: figures, walk, help, schemes, widths, links.
import { answer, equal, holds, seen, settled, text, told, until, visit } from "../support.mjs";

const VIEWS = ["attention", "explanations", "attack", "heads", "depth", "space"];

async function saved(page, click) {
  const [download] = await Promise.all([page.waitForEvent("download"), click()]);
  const parts = [];
  for await (const part of await download.createReadStream()) parts.push(part);
  return Buffer.concat(parts);
}

/** Checks with a visit of their own. */
export const whole = {
  async "a first visit is walked through, once"({ browser, address }) {
    const { page, problems, close } = await visit(browser, address, { walked: false });
    await page.locator(".walk").waitFor();
    for (let step = 1; step <= 6; step++) {
      equal(await text(page, ".walk .number"), `${step} of 6`, "step");
      await page.waitForTimeout(100);
      await page.locator(".walk .go").click();
    }
    equal(await page.locator(".walk").count(), 0, "walks after the last step");
    await page.reload();
    await page.waitForSelector(".answer .guess");
    await page.waitForTimeout(300);
    equal(await page.locator(".walk").count(), 0, "walks at the second visit");
    await page.getByRole("button", { name: "Walk" }).click();
    equal(await page.locator(".walk").count(), 1, "walks when asked for");
    await page.keyboard.press("Escape");
    equal(await page.locator(".walk").count(), 0, "walks after Escape");
    await close();
    return problems;
  },

  async "figures have a caption that says what they are"({ browser, address }) {
    const { page, problems, close } = await visit(browser, address);
    const { hash } = await answer(page, `/api/images/${await told(page, "image")}`);
    await page.keyboard.press("s");
    await page.locator(".preview").waitFor();
    const svg = (await saved(page, () => page.getByRole("link", { name: "SVG", exact: true }).click())).toString();
    holds(svg.startsWith("<svg") && svg.includes(hash.slice(0, 12)) && svg.includes("weights sha256") && svg.includes("archaeo"), "the caption lacks something");
    holds((svg.match(/<image /g) ?? []).length > 10, "the heads are missing");
    const png = await saved(page, () => page.getByRole("button", { name: "PNG", exact: true }).click());
    equal(png.subarray(1, 4).toString(), "PNG", "the picture");
    holds(png.readUInt32BE(16) === 2160, "the picture is not twice as wide as the figure");
    await close();
    return problems;
  },

  async "help, and light and dark"({ browser, address }) {
    const { page, problems, close } = await visit(browser, address);
    await page.keyboard.press("?");
    holds((await text(page, "dialog")).includes("layer before"), "no keys");
    await page.keyboard.press("Escape");
    await until(page, () => !document.querySelector("dialog[open]"));
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.keyboard.press("t");
    holds((await ground()) !== light, "t does not change the scheme");
    await page.reload();
    await page.waitForSelector(".answer .guess");
    holds((await ground()) !== light, "the scheme is forgotten");
    await close();
    return problems;
  },

  async "a link shows the same view"({ browser, address }) {
    const first = await visit(browser, address);
    const image = (await answer(first.page, "/api/images?from=3&count=1")).images[0].id;
    await first.close();
    const fragment = `image=${image}&view=attention&layer=2&head=1&query=0.25,0.5&nonsense=1`;
    const shots = [];
    const problems = [];
    for (let turn = 0; turn < 2; turn++) {
      const { page, problems: found, close } = await visit(browser, address, { fragment });
      equal(`${await told(page, "image")} ${await told(page, "layer")} ${await told(page, "query")}`, `${image} 2 0.25,0.5`, "place");
      shots.push(await seen(page, ".overlay canvas.map"));
      problems.push(...found);
      await close();
    }
    equal(shots[0], shots[1], "the map of the same link");
    return problems;
  },

  async "without WebGL2 the grid is shown"({ browser, address }) {
    const { page, problems, close } = await visit(browser, address, {
      fragment: "view=space",
      script: () => {
        const before = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
          return kind === "webgl2" ? null : before.call(this, kind, ...rest);
        };
      },
    });
    holds(/WebGL2/.test(await text(page, ".flat")), "no sentence");
    holds(await page.locator(".head").count() > 3, "no grid");
    await close();
    return problems;
  },

  async "without whole matrices, rows are asked for"({ browser, address }) {
    const { page, problems, close } = await visit(browser, address, {
      script: () => {
        const before = fetch;
        window.fetch = async (path, options) => {
          if (/\/attention\?/.test(String(path))) throw new Error("matrices are asked for");
          const response = await before(path, options);
          if (!/^\/api\/lab/.test(String(path))) return response;
          const lab = await response.json();
          for (const model of lab.models ?? []) if (model.attention) model.attention.whole = false;
          return Response.json(lab);
        };
      },
    });
    const map = ".head canvas";
    const readOut = await seen(page, map);
    await page.locator(".subject canvas").hover({ position: { x: 60, y: 120 } });
    await until(page, () => /marked patch/.test(document.querySelector(".overlay .asking").textContent));
    holds((await seen(page, map)) !== readOut, "the map did not change");
    await close();
    return problems;
  },

  async "the finished state is what the server says"({ browser, address }) {
    const { page, problems, close } = await visit(browser, address);
    const lab = await answer(page, "/api/lab");
    if (lab.run?.startsWith("the bundled investigation")) {
      const { answers } = await answer(page, "/first/state.json");
      for (const model of lab.models) {
        const path = `/api/models/${model.name}/answer?image=${lab.first}`;
        const now = await answer(page, path);
        for (const [k, probability] of now.probabilities.entries()) holds(Math.abs(probability - answers[path].probabilities[k]) < 1e-3, `${path} has changed: record the state again with record.mjs`);
      }
      const asked = [];
      page.on("request", (request) => asked.push(request.url()));
      await page.reload();
      await page.waitForSelector(".overlay .numbers");
      await settled(page);
      const computed = asked.filter((url) => /\/api\/models\//.test(url));
      equal(computed.length, 0, `questions to models before the first picture (${computed[0]})`);
    }
    await close();
    return problems;
  },

  async "a lost server is said, not shown as a failure"({ browser, address }) {
    const { page, close } = await visit(browser, address);
    await page.route("**/api/models/**", (route) => route.abort());
    await page.locator(".thumbs button").nth(1).click();
    await until(page, () => /does not answer/.test(document.querySelector(".sorry")?.textContent ?? ""));
    await close();
    return [];
  },
};

/** Every view at one width in one scheme: nothing sticks out, everything has a name, all text can be read. */
export async function look({ browser, address, folder, width, scheme }) {
  const { page, problems, close } = await visit(browser, address, { width, height: width < 600 ? 844 : 900, scheme, fragment: "layer=3" });
  for (const view of VIEWS) {
    await page.evaluate((view) => (location.hash = location.hash.replace(/view=\w+/, `view=${view}`)), view);
    await page.locator(`.view-${view}`).waitFor();
    await page.waitForTimeout(300);
    await settled(page);
    if (folder) await page.screenshot({ path: `${folder}/${view}-${width}-${scheme}.png`, fullPage: true });
    const found = await page.evaluate(measure);
    if (found.length) problems.push(...found.map((what) => `${view}: ${what}`));
  }
  await close();
  return problems;
}

function measure() {
  const found = [];
  if (document.documentElement.scrollWidth > innerWidth) found.push(`${document.documentElement.scrollWidth} px wide`);
  const shown = (element) => element.getClientRects().length > 0 && getComputedStyle(element).visibility !== "hidden";
  for (const control of document.querySelectorAll("button, a[href], input, select, canvas[tabindex]")) {
    if (!shown(control) || control.closest("[aria-hidden=true]")) continue;
    const name = control.getAttribute("aria-label") || control.textContent.trim() || control.labels?.[0]?.textContent.trim() || control.title;
    if (!name) found.push(`a control has no name: ${control.outerHTML.slice(0, 80)}`);
  }
  for (const canvas of document.querySelectorAll("canvas[role=img]")) if (shown(canvas) && !canvas.getAttribute("aria-label")) found.push(`a picture has no words: ${canvas.dataset.figure}`);
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const channels = (color) => {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = color;
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data].map((value) => value / 255);
  };
  const luminance = ([r, g, b]) => [r, g, b].map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = channels(getComputedStyle(at).backgroundColor);
      if (color[3] > 0.99) return color;
    }
    return [1, 1, 1, 1];
  };
  for (const element of document.querySelectorAll("body *")) {
    if (!shown(element) || element.closest(".unseen, .busy, svg, .pin, button:disabled, .effect.unwatched, option") || ![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const [one, other] = [luminance(channels(getComputedStyle(element).color)), luminance(ground(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) found.push(`contrast ${contrast.toFixed(1)}: ${element.textContent.trim().slice(0, 30)}`);
  }
  return found;
}
