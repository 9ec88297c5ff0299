import { expect, test } from "vitest";
import { backoffMs } from "./backoff";
import { age, clockDuration, spokenDuration } from "./duration";
import { drawnIndices, scrollToShow, visibleRange } from "./grid-window";
import type { WindowFigures } from "./model";
import { abandonRate, percent, seconds, serviceLevel } from "./rates";
import { areaPath, bars, linePath } from "./sparkline";
import { DEFAULT_THRESHOLDS, faultOf, readThresholds } from "./thresholds";

test("durations are told as a person would", () => {
  expect([7_000, 723_000, 3_723_000, -5].map(clockDuration)).toEqual(["0:07", "12:03", "1:02:03", "0:00"]);
  expect([8_000, 180_000, 7_200_000, 345_600_000].map(age)).toEqual(["8 s", "3 min", "2 h", "4 d"]);
  expect(spokenDuration(7_500_000)).toBe("2 h 5 min");
});

test("a rate that nothing is known of is not 0", () => {
  expect([percent(null), percent(0), percent(0.825)]).toEqual(["–", "0%", "83%"]);
  expect([seconds(null), seconds(0), seconds(61.4)]).toEqual(["–", "0:00", "1:01"]);
});

test("rates have their numerator and denominator beside them", () => {
  const figures = { abandoned: 5, shortAbandons: 2, counted: 50, withinTarget: 41, serviceLevel: 0.82 } as WindowFigures;
  expect([serviceLevel(figures), abandonRate(figures)]).toEqual(["82% (41/50)", "6% (3/50)"]);
  expect(abandonRate({ ...figures, abandoned: 2, counted: 0 })).toBe("–");
});

test("pages try again later and later, and not all at once", () => {
  expect([1, 2, 3, 99].map((failures) => backoffMs(failures, () => 1))).toEqual([1_000, 2_000, 4_000, 10_000]);
  expect(backoffMs(99, () => 0)).toBe(500);
});

test("only the lines in sight are drawn, and the one with the focus", () => {
  const view = { scrollTop: 4_000, height: 400, lineHeight: 40 };
  const range = visibleRange(view, 1_000);
  expect(range).toEqual({ first: 92, end: 118 });
  expect(drawnIndices(range, 500)).toHaveLength(27);
  expect(drawnIndices(range, 100)).toHaveLength(26);
  expect(visibleRange({ ...view, scrollTop: 0 }, 3)).toEqual({ first: 0, end: 3 });
  expect([scrollToShow(100, view), scrollToShow(10, view), scrollToShow(200, view)]).toEqual([4_000, 400, 7_640]);
});

test("a sparkline touches the top at its peak", () => {
  const box = { width: 60, height: 10 };
  expect(linePath([0, 5, 10], 10, box)).toBe("M0 10L30 5L60 0");
  expect(areaPath([1], 1, box)).toBe("");
  expect(bars([0, 10], 10, box)).toEqual([{ x: 30, y: 0, width: 24, height: 10 }]);
});

test("thresholds that somebody has edited by hand are read or replaced by the usual ones", () => {
  const mine = [{ state: "lunch", warningMinutes: 30, criticalMinutes: 45 }];
  expect(readThresholds(mine)).toEqual(mine);
  for (const wrong of [null, {}, [{ state: "lunch" }], [{ ...mine[0], criticalMinutes: 3 }], [{ ...mine[0], state: "" }]]) {
    expect(readThresholds(wrong)).toEqual(DEFAULT_THRESHOLDS);
  }
  expect(faultOf({ state: "x", warningMinutes: 0, criticalMinutes: 1 })).toMatch("more than 0");
});
