export function saveFigure() {}
