import { compareStates } from "./agent-state";
import { groupBy } from "./group-by";
import type { TimelineSpan } from "./model";

const HOUR_MS = 3_600_000;
const TICK_STEPS_MS = [5, 10, 15, 30, 60, 120, 180, 360].map((minutes) => minutes * 60_000);
const MOST_TICKS = 8;

export interface Stretch {
  readonly from: number;
  readonly to: number;
}

export interface TimelineBar {
  readonly span: TimelineSpan;
  readonly lane: number;
  /** From 0 to 1 of the whole width. */
  readonly left: number;
  readonly width: number;
}

export interface StateTotal {
  readonly state: string;
  readonly times: number;
  readonly totalMs: number;
}

export function stretchBack(hours: number, serverNow: number): Stretch {
  return { from: serverNow - hours * HOUR_MS, to: serverNow };
}

export function endOf(span: TimelineSpan, stretch: Stretch): number {
  return Math.min(span.to ?? stretch.to, stretch.to);
}

/** One lane for each state, so that a bar is told by its place as well as by its colour. */
export function timelineBars(spans: readonly TimelineSpan[], lanes: readonly string[], stretch: Stretch): TimelineBar[] {
  const length = stretch.to - stretch.from;
  return spans.flatMap((span) => {
    const from = Math.max(span.from, stretch.from);
    const to = endOf(span, stretch);
    if (to < from || length <= 0) return [];
    return [{ span, lane: lanes.indexOf(span.state), left: (from - stretch.from) / length, width: (to - from) / length }];
  });
}

export function stateTotals(spans: readonly TimelineSpan[], stretch: Stretch): StateTotal[] {
  const byState = groupBy(spans, (span) => span.state);
  return [...byState].map(([state, its]) => totalOf(state, its, stretch)).sort((a, b) => compareStates(a.state, b.state));
}

function totalOf(state: string, spans: readonly TimelineSpan[], stretch: Stretch): StateTotal {
  const within = (span: TimelineSpan) => Math.max(0, endOf(span, stretch) - Math.max(span.from, stretch.from));
  return { state, times: spans.length, totalMs: spans.reduce((sum, span) => sum + within(span), 0) };
}

/** Round moments to label; whole days and hours fall on the viewer's own clock. */
export function axisTicks(stretch: Stretch, zoneOffsetMs: number): number[] {
  const length = stretch.to - stretch.from;
  const step = TICK_STEPS_MS.find((each) => length / each <= MOST_TICKS) ?? 6 * HOUR_MS;
  const ticks: number[] = [];
  const first = Math.ceil((stretch.from - zoneOffsetMs) / step) * step + zoneOffsetMs;
  for (let at = first; at <= stretch.to; at += step) ticks.push(at);
  return ticks;
}
