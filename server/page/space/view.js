/** @param {HTMLElement} root */
export function mount(root) {
  root.textContent = "Not here yet.";
  return { change: (/** @type {Set<string>} */ _) => {} };
}
