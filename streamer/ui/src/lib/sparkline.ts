import type { MinuteFigures } from "./model";

export interface Box {
  readonly width: number;
  readonly height: number;
}

export interface Bar {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export function peakOf(trend: readonly MinuteFigures[]): number {
  return trend.reduce((peak, each) => Math.max(peak, each.offered, each.answered, each.abandoned), 0);
}

/** An SVG path through the points, scaled so that the peak touches the top. */
export function linePath(values: readonly number[], peak: number, box: Box): string {
  const step = values.length > 1 ? box.width / (values.length - 1) : 0;
  return values.map((value, i) => `${i ? "L" : "M"}${round(i * step)} ${round(heightOf(value, peak, box))}`).join("");
}

export function areaPath(values: readonly number[], peak: number, box: Box): string {
  if (values.length < 2) return "";
  return `${linePath(values, peak, box)}L${box.width} ${box.height}L0 ${box.height}Z`;
}

export function bars(values: readonly number[], peak: number, box: Box): Bar[] {
  const width = values.length > 0 ? box.width / values.length : 0;
  return values.flatMap((value, i) => {
    if (value === 0) return [];
    const y = heightOf(value, peak, box);
    return [{ x: round(i * width), y: round(y), width: round(width * 0.8), height: round(box.height - y) }];
  });
}

export function spokenTrend(trend: readonly MinuteFigures[]): string {
  const sum = (pick: (each: MinuteFigures) => number) => trend.reduce((total, each) => total + pick(each), 0);
  const parts = [`${sum((m) => m.offered)} offered`, `${sum((m) => m.answered)} answered`, `${sum((m) => m.abandoned)} abandoned`];
  return `Last ${trend.length} minutes: ${parts.join(", ")}`;
}

function heightOf(value: number, peak: number, box: Box): number {
  return peak > 0 ? box.height * (1 - value / peak) : box.height;
}

const round = (n: number) => Math.round(n * 10) / 10;
