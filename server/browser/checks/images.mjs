// Images come onto the table in every way, and what is not an image is refused without losing anything.
import { answer, clickAt, colorOf, differs, equal, holds, seen, settled, text, told, until } from "../support.mjs";

const SUBJECT = ".subject canvas";

async function drawnPng(page, color, size = 160) {
  const url = await page.evaluate(([color, size]) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = size;
    const context = canvas.getContext("2d");
    context.fillStyle = color;
    context.fillRect(0, 0, size, size);
    return canvas.toDataURL("image/png");
  }, [color, size]);
  return Buffer.from(url.split(",")[1], "base64");
}

const bring = (page, kind, bytes, name) => page.evaluate(([kind, base64, name]) => {
  const file = new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name, { type: "image/png" });
  const data = new DataTransfer();
  data.items.add(file);
  dispatchEvent(kind === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }) : new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
}, [kind, bytes.toString("base64"), name]);

const uploaded = (page, before) => until(page, (before) => /image=u/.test(location.hash) && location.hash !== before, before);

export const images = {
  async "answers equal the server's"({ page }) {
    const lab = await answer(page, "/api/lab");
    for (const model of lab.models.filter((model) => model.classes.length)) {
      const { top } = await answer(page, `/api/models/${encodeURIComponent(model.name)}/answer?image=${await told(page, "image")}`);
      const shown = await page.locator(`.answer[data-model="${model.name}"] .guess`).evaluateAll((buttons) => buttons.map((button) => Number(button.dataset.class)));
      equal(shown.join(), top.map((guess) => guess.class).join(), `classes of ${model.name}`);
      const percent = await text(page, `.answer[data-model="${model.name}"] .guess .number`);
      holds(Math.abs(parseFloat(percent) / 100 - top[0].probability) < 0.006, `${percent} is not ${top[0].probability}`);
    }
  },

  async "an image of the data, and back"({ page }) {
    const first = await told(page, "image");
    const before = await seen(page, SUBJECT);
    await page.locator(".thumbs button").nth(2).click();
    await settled(page);
    differs(before, await seen(page, SUBJECT), "the picture");
    differs(first, await told(page, "image"), "the address");
    await page.goBack();
    await settled(page);
    equal(await told(page, "image"), first, "image after going back");
    equal(await seen(page, SUBJECT), before, "picture after going back");
    await page.goForward();
    await settled(page);
    differs(first, await told(page, "image"), "the address after going forward");
  },

  async "pages of images"({ page }) {
    const before = await page.locator(".thumbs button").first().getAttribute("data-image");
    const later = page.getByRole("button", { name: "Later images" });
    if (await later.isDisabled()) return;
    await later.click();
    await until(page, (before) => document.querySelector(".thumbs button:not(.own)")?.dataset.image !== before, before);
    await page.getByRole("button", { name: "Earlier images" }).click();
    await until(page, (before) => document.querySelector(".thumbs button:not(.own)")?.dataset.image === before, before);
  },

  async "a dropped image"({ page }) {
    const before = await page.evaluate(() => location.hash);
    await bring(page, "drop", await drawnPng(page, "rgb(200 30 40)"), "red.png");
    await uploaded(page, before);
    await settled(page);
    const [red, green] = await colorOf(page, SUBJECT, [0.2, 0.2, 0.5, 0.5]);
    holds(red > 150 && green < 90, "the picture is not red");
    await until(page, () => document.querySelector(".specimen figcaption").innerText.includes("red.png"));
  },

  async "a pasted image"({ page }) {
    const before = await page.evaluate(() => location.hash);
    await bring(page, "paste", await drawnPng(page, "rgb(20 160 60)", 150), "green.png");
    await uploaded(page, before);
    await settled(page);
    const [red, green] = await colorOf(page, SUBJECT, [0.2, 0.2, 0.5, 0.5]);
    holds(green > 120 && red < 90, "the picture is not green");
  },

  async "an opened file"({ page }) {
    const before = await page.evaluate(() => location.hash);
    await page.locator("input[type=file]").setInputFiles({ name: "blue.png", mimeType: "image/png", buffer: await drawnPng(page, "rgb(20 40 190)", 140) });
    await uploaded(page, before);
    await settled(page);
    const [, , blue] = await colorOf(page, SUBJECT, [0.2, 0.2, 0.5, 0.5]);
    holds(blue > 140, "the picture is not blue");
  },

  async "what is not an image is refused in a sentence"({ page }) {
    const before = [await page.evaluate(() => location.hash), await seen(page, SUBJECT)];
    await page.locator("input[type=file]").setInputFiles({ name: "hostile.png", mimeType: "image/png", buffer: Buffer.from("<script>alert(1)</script>".repeat(50)) });
    await page.locator("#trouble").waitFor({ state: "visible" });
    holds((await text(page, "#trouble span")).length > 20, "no sentence");
    equal(await page.evaluate(() => location.hash), before[0], "address");
    equal(await seen(page, SUBJECT), before[1], "picture");
    await page.getByRole("button", { name: "Close" }).click();
    holds(await page.locator("#trouble").isHidden(), "the sentence stays");
  },

  async "a picture from the camera"({ page }) {
    const before = await page.evaluate(() => location.hash);
    await page.getByRole("button", { name: "Camera" }).click();
    await until(page, () => document.querySelector("dialog video")?.videoWidth > 0);
    await page.getByRole("button", { name: "Take picture" }).click();
    await uploaded(page, before);
    await settled(page);
  },

  async "a part is covered"({ page }) {
    await page.locator(".thumbs button:not(.own)").first().click();
    await settled(page);
    const before = await page.evaluate(() => location.hash);
    await page.getByRole("button", { name: "Cover" }).click();
    const canvas = page.locator("dialog canvas");
    await canvas.waitFor();
    const box = await canvas.boundingBox();
    await page.mouse.move(box.x + 0.3 * box.width, box.y + 0.3 * box.height);
    await page.mouse.down();
    await page.mouse.move(box.x + 0.72 * box.width, box.y + 0.72 * box.height, { steps: 4 });
    await page.mouse.up();
    await page.getByRole("button", { name: "Undo" }).click();
    holds(await page.getByRole("button", { name: "Examine this" }).isDisabled(), "undo left something");
    await page.mouse.move(box.x + 0.3 * box.width, box.y + 0.3 * box.height);
    await page.mouse.down();
    await page.mouse.move(box.x + 0.72 * box.width, box.y + 0.72 * box.height, { steps: 4 });
    await page.mouse.up();
    await page.getByRole("button", { name: "Examine this" }).click();
    await uploaded(page, before);
    await settled(page);
    const color = await colorOf(page, SUBJECT, [0.46, 0.46, 0.08, 0.08]);
    holds(color.every((channel) => Math.abs(channel - 128) < 6), `the middle is ${color.map(Math.round)}, not grey`);
    await until(page, () => document.querySelector(".specimen figcaption").innerText.includes("covered"));
    await page.locator(".thumbs button:not(.own)").first().click();
    await settled(page);
    await clickAt(page, "#view", 0.99, 0.99);
  },
};
