import type { GridLine } from "./grid-lines";

/** Where a key takes the focus, as an index of lines; null if the key is none of the grid's, or there is no agent. */
export function moveFocus(key: string, from: number, lines: readonly GridLine[], pageSize: number): number | null {
  switch (key) {
    case "ArrowDown":
      return agentFrom(lines, from + 1, 1) ?? agentFrom(lines, from, -1);
    case "ArrowUp":
      return agentFrom(lines, from - 1, -1) ?? agentFrom(lines, from, 1);
    case "PageDown":
      return agentNear(lines, Math.min(lines.length - 1, from + pageSize), -1);
    case "PageUp":
      return agentNear(lines, Math.max(0, from - pageSize), 1);
    case "Home":
      return agentFrom(lines, 0, 1);
    case "End":
      return agentFrom(lines, lines.length - 1, -1);
    default:
      return null;
  }
}

/** The first agent at or beyond an index; the heads of teams are passed over. */
export function agentFrom(lines: readonly GridLine[], start: number, step: 1 | -1): number | null {
  for (let i = start; i >= 0 && i < lines.length; i += step) {
    if (lines[i]?.kind === "agent") return i;
  }
  return null;
}

function agentNear(lines: readonly GridLine[], index: number, step: 1 | -1): number | null {
  return agentFrom(lines, index, step) ?? agentFrom(lines, index, step === 1 ? -1 : 1);
}
