import { fill, h } from "../core/dom.js";
import { go, place } from "../core/state.js";
import { recall, remember } from "./theme.js";

const KEY = "archaeo-walk";

/** What is pointed at, and what is said. @type {{at: string, title: string, text: string, view?: string}[]} */
const STEPS = [
  { at: "#images", title: "Put an image on the table", text: "Choose one from the data, drop or paste your own, take one with the camera, or cover a part of this one." },
  { at: ".answers", title: "Hear what the models say", text: "The five most likely classes of every model. Click one, or search for any other, and all views ask about that class." },
  { at: ".subject", title: "Ask from a patch", text: "Point at the picture: each map shows what that patch attends to. Click to keep the patch, and again to let it go.", view: "attention" },
  { at: ".heads", title: "See every head at once", text: "One small map for each head of each layer. Point at one to see it large, with its numbers and its role; arrow keys step through them.", view: "attention" },
  { at: "#views", title: "Take the model apart", text: "Compare explanations with their verdicts, attack the image, switch heads off, follow the answer through the layers, or turn them in space." },
  { at: "#tools", title: "Keep what you find", text: "The address of the page is the view you see: copy it to share it. Save figure writes an SVG or PNG with its caption." },
];

/** @type {{close: () => void}|null} */
let open = null;

export function walkAtFirst() {
  if (recall(KEY) !== "done") startWalk();
}

export function startWalk() {
  open?.close();
  let at = 0;
  const before = document.activeElement;
  const title = h("h2", { id: "walk-title" });
  const text = h("p", { id: "walk-text" });
  const count = h("span", { class: "small number" });
  const back = h("button", { onclick: () => show(at - 1) }, "Back");
  const next = h("button", { class: "go", onclick: () => (at === STEPS.length - 1 ? close() : show(at + 1)) });
  const element = h("div", { class: "walk", role: "dialog", "aria-labelledby": "walk-title", "aria-describedby": "walk-text", "data-keys": true },
    title, text, h("div", { class: "row" }, count, h("span", { class: "row" }, h("button", { onclick: () => close() }, "Skip"), back, next)));

  const close = () => {
    remember(KEY, "done");
    element.remove();
    unpoint();
    removeEventListener("resize", put);
    open = null;
    if (before instanceof HTMLElement && before !== document.body) before.focus();
  };
  const unpoint = () => document.querySelectorAll(".pointed").forEach((pointed) => pointed.classList.remove("pointed"));
  const put = () => {
    const target = document.querySelector(STEPS[at].at) ?? document.getElementById("view");
    const box = target?.getBoundingClientRect();
    if (!box) return;
    const [width, height] = [element.offsetWidth, element.offsetHeight];
    const room = 12;
    const right = box.right + room + width < innerWidth && box.width < innerWidth / 3;
    const left = right ? box.right + room : Math.min(Math.max(16, box.left), document.documentElement.clientWidth - width - 16);
    const top = right ? box.top : box.bottom + room + height < innerHeight || box.top < height + room ? box.bottom + room : box.top - height - room;
    element.style.setProperty("left", `${left + scrollX}px`);
    element.style.setProperty("top", `${Math.max(8, top + scrollY)}px`);
  };
  const show = (/** @type {number} */ to) => {
    at = Math.max(0, Math.min(STEPS.length - 1, to));
    const step = STEPS[at];
    if (step.view && place.view !== step.view) go({ view: step.view });
    fill(title, step.title);
    fill(text, step.text);
    fill(count, `${at + 1} of ${STEPS.length}`);
    back.disabled = at === 0;
    fill(next, at === STEPS.length - 1 ? "Done" : "Next");
    unpoint();
    const target = document.querySelector(step.at);
    target?.classList.add("pointed");
    target?.scrollIntoView({ block: "nearest" });
    put();
    // A view that has just been opened is there a moment later.
    if (!target) setTimeout(() => open && at === to && show(to), 300);
    element.scrollIntoView({ block: "nearest" });
    next.focus({ preventScroll: true });
  };
  element.addEventListener("keydown", (event) => {
    const act = /** @type {Record<string, () => void>} */ ({ Escape: close, ArrowRight: () => show(at + 1), ArrowLeft: () => show(at - 1) })[event.key];
    if (!act) return;
    event.stopPropagation();
    event.preventDefault();
    act();
  });
  document.body.append(element);
  addEventListener("resize", put);
  open = { close };
  show(0);
}
