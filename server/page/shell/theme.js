const KEY = "archaeo-theme";

/** Private windows may forbid storage: the page then forgets. @param {string} key */
export function recall(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** @param {string} key @param {string} value */
export function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Nothing depends on it.
  }
}

const dark = matchMedia("(prefers-color-scheme: dark)");

/** @returns {boolean} */
export const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";

export function restoreTheme() {
  const theme = recall(KEY);
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  dark.addEventListener("change", () => dispatchEvent(new Event("themechange")));
}

export function toggleTheme() {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  remember(KEY, theme);
  dispatchEvent(new Event("themechange"));
}
