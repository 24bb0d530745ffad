/** The views in the order of their keys. */
export const VIEWS = [
  { id: "attention", title: "Attention", load: () => import("../attention/view.js") },
  { id: "explanations", title: "Explanations", load: () => import("../explain/view.js") },
  { id: "attack", title: "Attack", load: () => import("../attack/view.js") },
  { id: "heads", title: "Heads off", load: () => import("../heads/view.js") },
  { id: "depth", title: "Depth", load: () => import("../depth/view.js") },
  { id: "space", title: "Space", load: () => import("../space/view.js") },
];
