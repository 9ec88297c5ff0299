import { compareStates } from "./agent-state";
import { clamp } from "./grid-window";
import { groupBy } from "./group-by";
import type { Agent, Timeline, TimelineContact, TimelineSpan } from "./model";

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

export function endOf(span: Pick<TimelineSpan, "to">, stretch: Stretch): number {
  return Math.min(span.to ?? stretch.to, stretch.to);
}

/** Whether a timeline holds all that the stream has told of the agent. */
export function isWhole(timeline: Timeline, agent: Agent | undefined): boolean {
  return !agent?.changedAt || (timeline.knownAt ?? 0) >= agent.changedAt;
}

/**
 * The spans with the agent's present state on top, for as long as it has lasted: it is newer than what was read, and it
 * may come from a contact, of which spans tell nothing.
 */
export function withPresent(spans: readonly TimelineSpan[], agent: Agent | undefined): readonly TimelineSpan[] {
  const since = agent?.since ?? null;
  if (!agent || since === null) return spans;
  const before = spans.filter((span) => span.from < since).map((span) => endedBy(span, since));
  const last = before.at(-1);
  const lasts = last?.to === since && last.state === agent.state && last.reason === agent.reason;
  if (lasts) return [...before.slice(0, -1), { ...last, to: null }];
  return [...before, { state: agent.state, reason: agent.reason, from: since, to: null }];
}

function endedBy(span: TimelineSpan, moment: number): TimelineSpan {
  return span.to === null || span.to > moment ? { ...span, to: moment } : span;
}

export interface ContactBar {
  readonly contact: TimelineContact;
  readonly lane: number;
  readonly left: number;
  readonly width: number;
  /** Where in the bar the contact was answered, from 0 to 1; 1 where it was not. */
  readonly answered: number;
}

/** A lane for each channel. */
export function contactBars(contacts: readonly TimelineContact[], lanes: readonly string[], stretch: Stretch): ContactBar[] {
  const length = stretch.to - stretch.from;
  return contacts.flatMap((contact) => {
    const from = Math.max(contact.from, stretch.from);
    const to = endOf(contact, stretch);
    if (to < from || length <= 0) return [];
    const answered = contact.answered === null || to === from ? 1 : clamp((contact.answered - from) / (to - from), 0, 1);
    return [{ contact, lane: lanes.indexOf(contact.channel), left: (from - stretch.from) / length, width: (to - from) / length, answered }];
  });
}

export const channelsOf = (contacts: readonly TimelineContact[]): string[] => [...new Set(contacts.map((each) => each.channel))].sort();

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
