import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Agent, Timeline, TimelineContact, TimelineSpan } from "./model";
import { axisTicks, channelsOf, contactBars, isWhole, stateTotals, timelineBars, withPresent } from "./timeline-layout";
import { TimelineReader } from "./timeline-reader";

const span = (state: string, from: number, to: number | null = null): TimelineSpan => ({ state, reason: "", from, to });
const agent = (state: string, since: number | null, changedAt: number | null = since) => ({ state, reason: "", since, changedAt }) as Agent;
const contact = (from: number, answered: number | null, to: number | null): TimelineContact => ({ id: String(from), channel: "voice", queueId: 1, from, answered, to });

test.each<[string, TimelineSpan[], Agent | undefined, TimelineSpan[]]>([
  ["a newer state ends what lasted", [span("available", 10)], agent("break", 20), [span("available", 10, 20), span("break", 20)]],
  ["one that was read already stays", [span("available", 10, 20), span("break", 20)], agent("break", 20), [span("available", 10, 20), span("break", 20)]],
  ["a contact's state covers what came later", [span("available", 10, 30), span("break", 30)], agent("on contact", 20), [span("available", 10, 20), span("on contact", 20)]],
  ["nothing was read", [], agent("break", 20), [span("break", 20)]],
  ["nothing is known of since when", [span("available", 10)], agent("offline", null), [span("available", 10)]],
  ["the agent has gone", [span("available", 10)], undefined, [span("available", 10)]],
  ["the same state anew", [span("break", 10, 20), span("available", 20)], agent("break", 20), [span("break", 10)]],
])("the present state on top: %s", (_, read, present, wanted) => {
  expect(withPresent(read, present)).toEqual(wanted);
});

test("a timeline is whole once it knows what the stream has told", () => {
  const timeline = (knownAt: number | null): Timeline => ({ spans: [], contacts: [], knownAt });
  expect([null, 9, 10, 11].map((known) => isWhole(timeline(known), agent("break", 5, 10)))).toEqual([false, false, true, true]);
  expect(isWhole(timeline(null), undefined)).toBe(true);
});

test("bars are cut to the hours shown", () => {
  const stretch = { from: 100, to: 200 };
  const spans = [span("a", 0, 50), span("a", 50, 150), span("b", 150)];
  expect(timelineBars(spans, ["b", "a"], stretch).map(({ lane, left, width }) => [lane, left, width])).toEqual([[1, 0, 0.5], [0, 0.5, 0.5]]);
  expect(stateTotals(spans, stretch)).toEqual([{ state: "a", times: 2, totalMs: 50 }, { state: "b", times: 1, totalMs: 50 }]);
});

test("a contact's bar tells its wait from its talk", () => {
  const contacts = [contact(100, 125, 200), contact(80, 90, 120), contact(150, null, null), contact(0, 10, 20)];
  const bars = contactBars(contacts, channelsOf(contacts), { from: 100, to: 200 });
  expect(bars.map(({ left, width, answered }) => [left, width, answered])).toEqual([[0, 1, 0.25], [0, 0.2, 0], [0.5, 0.5, 1]]);
});

test("ticks are few and fall on round times of the viewer's clock", () => {
  const hour = 3_600_000;
  expect(axisTicks({ from: 1, to: 4 * hour }, hour / 2)).toEqual([0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4].map((hours) => hours * hour));
});

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test("a timeline that lacks something is read again, and not for ever", async () => {
  const read = vi.fn(async () => false);
  const reader = new TimelineReader(read);
  reader.ask();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(read).toHaveBeenCalledTimes(6);
  read.mockResolvedValue(true);
  reader.ask();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(read).toHaveBeenCalledTimes(7);
});

test("changes that come while it reads make it read once more, and one reading at a time", async () => {
  let answer = (_: boolean) => {};
  const read = vi.fn(() => new Promise<boolean>((resolve) => (answer = resolve)));
  const reader = new TimelineReader(read);
  for (let i = 0; i < 3; i += 1) reader.ask();
  expect(read).toHaveBeenCalledTimes(1);
  answer(true);
  await vi.advanceTimersByTimeAsync(1);
  expect(read).toHaveBeenCalledTimes(2);
  reader.stop();
  answer(false);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(read).toHaveBeenCalledTimes(2);
});
