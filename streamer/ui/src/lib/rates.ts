import { clockDuration } from "./duration";
import type { WindowFigures } from "./model";

/** Shown where a rate's denominator is 0: nothing is known, which is not 0. */
export const NOTHING = "–";

export function percent(ratio: number | null): string {
  return ratio === null ? NOTHING : `${Math.round(ratio * 100)}%`;
}

/** "82% (41/50)": a rate with its numerator and denominator. */
export function serviceLevel(figures: WindowFigures): string {
  if (figures.serviceLevel === null) return NOTHING;
  return `${percent(figures.serviceLevel)} (${figures.withinTarget}/${figures.counted})`;
}

/** "6% (3/50)": of the contacts that count for the service level, those that were given up. */
export function abandonRate({ abandoned, shortAbandons, counted }: WindowFigures): string {
  const lost = abandoned - shortAbandons;
  return counted > 0 ? `${percent(lost / counted)} (${lost}/${counted})` : NOTHING;
}

export function seconds(value: number | null): string {
  return value === null ? NOTHING : clockDuration(Math.round(value) * 1000);
}
