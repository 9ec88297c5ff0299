/** Lines kept ready above and below what is seen, so that a quick scroll shows no gap. */
const OVERSCAN = 8;

export interface Viewport {
  readonly scrollTop: number;
  readonly height: number;
  readonly lineHeight: number;
}

export interface LineRange {
  readonly first: number;
  /** One past the last. */
  readonly end: number;
}

export function visibleRange(view: Viewport, lineCount: number): LineRange {
  const first = Math.floor(view.scrollTop / view.lineHeight) - OVERSCAN;
  const end = Math.ceil((view.scrollTop + view.height) / view.lineHeight) + OVERSCAN;
  return { first: clamp(first, 0, lineCount), end: clamp(end, 0, lineCount) };
}

/** The lines to draw, in order: those in sight, and the one with the focus, which must not leave the page. */
export function drawnIndices(range: LineRange, focused: number): number[] {
  const indices = Array.from({ length: range.end - range.first }, (_, i) => range.first + i);
  if (focused < 0 || (focused >= range.first && focused < range.end)) return indices;
  return focused < range.first ? [focused, ...indices] : [...indices, focused];
}

/** Where to scroll so that a line is wholly in sight; the same place if it is already. */
export function scrollToShow(index: number, view: Viewport): number {
  const top = index * view.lineHeight;
  if (top < view.scrollTop) return top;
  return Math.max(view.scrollTop, top + view.lineHeight - view.height);
}

export const clamp = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value));
