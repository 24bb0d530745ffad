// Pictures open enlarged, and the contents show where the reader is. The page is complete without either.
const zoom = document.getElementById("zoom");
if (zoom.showModal) {
  const show = (image) => {
    const large = zoom.querySelector("img");
    large.src = image.src;
    large.alt = image.alt;
    zoom.querySelector("p").textContent = image.alt;
    zoom.showModal();
  };
  for (const image of document.querySelectorAll("main img")) {
    image.tabIndex = 0;
    image.setAttribute("role", "button");
    image.setAttribute("aria-label", "Enlarge: " + image.alt);
    image.addEventListener("click", () => show(image));
    image.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        show(image);
      }
    });
  }
  zoom.addEventListener("click", (event) => {
    if (event.target === zoom || event.target.tagName === "IMG") zoom.close();
  });
}

const contents = document.querySelector("nav.contents details");
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
