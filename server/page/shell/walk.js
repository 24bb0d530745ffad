export function startWalk() {}
export function walkAtFirst() {}
