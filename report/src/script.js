// Pictures open enlarged, chapters fold on narrow screens, and the contents show where the reader is. The page is complete without
// any of it.
const zoom = document.getElementById("zoom");
const narrow = matchMedia("(max-width: 719px)");

if (zoom.showModal) {
  const part = (name) => zoom.querySelector("." + name);
  let items = [];
  let at = 0;

  const show = (index) => {
    at = (index + items.length) % items.length;
    const item = items[at];
    const images = [...item.querySelectorAll("img")];
    const around = item.closest(".gallery, figure.figure");
    const copies = [...item.querySelector(".shots").cloneNode(true).children];
    part("shots").replaceChildren(...copies);
    const said = item.querySelector("figcaption");
    if (said) {
      part("said").replaceChildren(...said.cloneNode(true).children);
    } else {
      const line = document.createElement("p");
      line.textContent = images.map((image) => image.alt).join("; ");
      part("said").replaceChildren(line);
    }
    const place = item.querySelector("[data-lab]")?.dataset.lab;
    const command = document.createElement("code");
    command.textContent = `archaeo lab --run FOLDER --at "${place}"`;
    part("by-hand").replaceChildren(...(place ? ["By hand, with the folder of this report: ", command] : []));
    const legend = around.querySelector(".legend");
    part("colours").replaceChildren(...(legend ? [legend.cloneNode(true)] : []));
    part("place").textContent = `${at + 1} of ${items.length}`;
    for (const step of ["previous", "next"]) part(step).disabled = items.length < 2;
  };

  const open = (item) => {
    const around = item.closest(".gallery, figure.figure");
    // What the buttons above a gallery hide is passed over.
    items = [...around.querySelectorAll(".item")].filter((each) => each.querySelector("img") && each.offsetParent !== null);
    show(items.indexOf(item));
    zoom.showModal();
  };

  for (const item of document.querySelectorAll("main .item")) {
    const shots = item.querySelector(".shots");
    const images = [...shots.querySelectorAll("img")];
    if (images.length === 0) continue;
    shots.tabIndex = 0;
    shots.setAttribute("role", "button");
    shots.setAttribute("aria-label", "Enlarge: " + images.map((image) => image.alt).join("; "));
    shots.addEventListener("click", () => open(item));
    shots.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        open(item);
      }
    });
  }

  part("previous").addEventListener("click", () => show(at - 1));
  part("next").addEventListener("click", () => show(at + 1));
  zoom.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || items.length < 2) return;
    event.preventDefault();
    show(at + step);
  });
  let start = null;
  zoom.addEventListener("touchstart", (event) => {
    start = event.touches.length === 1 ? event.touches[0] : null;
  }, { passive: true });
  zoom.addEventListener("touchend", (event) => {
    if (!start || items.length < 2) return;
    const end = event.changedTouches[0];
    const [x, y] = [end.clientX - start.clientX, end.clientY - start.clientY];
    start = null;
    if (Math.abs(x) > 40 && Math.abs(x) > 1.5 * Math.abs(y)) show(at + (x < 0 ? 1 : -1));
  }, { passive: true });
  zoom.addEventListener("click", (event) => {
    if (event.target === zoom) zoom.close();
  });
  // The reader goes on from the picture that was seen last, not from the one that was opened first.
  zoom.addEventListener("close", () => items[at]?.querySelector(".shots").focus());
}

// A chart as a file of its own: with the rules of the page that are about charts.
const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]).map((rule) => rule.cssText);
const style = rules.filter((rule) => rule.includes(".archaeo-chart")).join("\n");
for (const button of document.querySelectorAll(".downloads button.svg")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const chart = button.closest(".chart").querySelector(".wide svg").cloneNode(true);
    chart.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    const element = document.createElementNS("http://www.w3.org/2000/svg", "style");
    element.textContent = style;
    chart.prepend(element);
    const file = new Blob([new XMLSerializer().serializeToString(chart)], { type: "image/svg+xml" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = button.dataset.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  });
}

// Tables sort by a click on the head of a column: numbers by their first number, words as words; a third click restores the order.
const number = (text) => {
  const found = text.replaceAll(/[\s,\u00a0]/g, "").replace("−", "-").match(/^[<>≈]?(-?\d+(\.\d+)?)/);
  return found ? Number(found[1]) : null;
};
for (const table of document.querySelectorAll("main table:not(.pictures)")) {
  const body = table.tBodies[0];
  const rows = body ? [...body.rows] : [];
  if (rows.length < 3 || rows.some((row) => [...row.cells].some((cell) => cell.rowSpan > 1 || cell.colSpan > 1))) continue;
  const heads = [...table.tHead.rows[0].cells];
  const sort = (place) => {
    const next = { none: "ascending", ascending: "descending", descending: "none" }[heads[place].getAttribute("aria-sort") ?? "none"];
    heads.forEach((head) => head.setAttribute("aria-sort", "none"));
    heads[place].setAttribute("aria-sort", next);
    const key = (row) => row.cells[place]?.textContent.trim() ?? "";
    const numbers = rows.every((row) => key(row) === "" || key(row) === "–" || number(key(row)) !== null);
    const compare = (a, b) => {
      if (!numbers) return key(a).localeCompare(key(b));
      // What has no number stands last either way.
      const [x, y] = [number(key(a)), number(key(b))];
      if (x === null || y === null) return (x === null) - (y === null);
      return next === "descending" ? y - x : x - y;
    };
    const order = next === "none" ? rows : [...rows].sort(numbers || next === "ascending" ? compare : (a, b) => compare(b, a));
    body.append(...order);
  };
  heads.forEach((head, place) => {
    if (head.textContent.trim() === "") return;
    head.tabIndex = 0;
    head.classList.add("sorts");
    head.title = "Sort by this column";
    head.addEventListener("click", () => sort(place));
    head.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sort(place);
    });
  });
}

// On a narrow screen the chapters fold, but for those that say what was found.
const chapters = [...document.querySelectorAll("details.chapter")];
const fold = () => {
  for (const chapter of chapters) {
    chapter.open = !narrow.matches || chapter.querySelector(".claims") !== null;
    // Where nothing folds, a heading is no button.
    chapter.querySelector("summary").tabIndex = narrow.matches ? 0 : -1;
  }
};
const unfold = () => {
  const target = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  const chapter = target?.closest("details.chapter") ?? target?.querySelector("details.chapter");
  if (!chapter || chapter.open) return;
  chapter.open = true;
  target.scrollIntoView();
};
fold();
unfold();
narrow.addEventListener("change", fold);
addEventListener("hashchange", unfold);
addEventListener("beforeprint", () => chapters.forEach((chapter) => { chapter.open = true; }));

const contents = document.querySelector("nav.contents details");
contents.addEventListener("click", (event) => {
  // A link to the chapter that the address names already changes nothing there.
  if (event.target.closest("a")?.hash === location.hash) unfold();
});
if (matchMedia("(max-width: 1099px)").matches) contents.open = false;
if ("IntersectionObserver" in window) {
  const links = new Map([...contents.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const link of links.values()) link.removeAttribute("aria-current");
        links.get(entry.target.id)?.setAttribute("aria-current", "true");
      }
    },
    { rootMargin: "-10% 0px -80% 0px" },
  );
  for (const section of document.querySelectorAll("main > section")) observer.observe(section);
}
