import { h, freshId } from "../core/dom.js";
import { focused, lab } from "../core/lab.js";
import { firstName } from "../core/numbers.js";
import { go, place } from "../core/state.js";

/** The class that explanations, the lens and attacks ask about, searched among all of the model's. */
export function targetSearch() {
  const list = h("datalist", { id: freshId("classes") });
  const input = h("input", { type: "search", list: list.id, placeholder: "Search all classes", autocomplete: "off", "aria-label": "Class asked about" });
  const said = h("p", { class: "small" });
  const reset = h("button", { class: "plain", onclick: () => go({ target: null }) }, "Ask about the prediction again");
  const element = h("div", { class: "asked" }, h("h2", { class: "unseen" }, "Class asked about"), said, input, list, reset);
  let filled = "";

  input.addEventListener("focus", () => {
    const model = focused();
    if (filled === model.name) return;
    filled = model.name;
    list.replaceChildren(...model.classes.map((name) => h("option", { value: name })));
  });
  input.addEventListener("change", () => {
    const index = find(input.value);
    input.setCustomValidity(index < 0 && input.value ? "No class has this name." : "");
    input.reportValidity();
    if (index >= 0) {
      go({ target: index });
      input.value = "";
    }
  });

  const find = (/** @type {string} */ text) => {
    const { classes } = focused();
    const sought = text.trim().toLowerCase();
    const exact = classes.findIndex((name) => name.toLowerCase() === sought);
    return exact >= 0 || !sought ? exact : classes.findIndex((name) => name.toLowerCase().split(/,\s*/).includes(sought));
  };
  const mark = () => {
    const { classes, title } = focused();
    reset.hidden = place.target === null;
    element.hidden = !lab.models.some((model) => model.classes.length);
    said.replaceChildren("Asked about: ", h("strong", {}, place.target === null ? "what each model predicts" : firstName(classes[place.target] ?? "")),
      place.target !== null && lab.models.some((model) => !model.classes.includes(classes[place.target ?? 0])) ? ` (a class of ${title})` : "");
  };
  mark();
  return { element, mark };
}
