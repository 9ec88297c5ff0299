import { expect, test } from "vitest";
import { ServerClock } from "./server-clock";
import { SleepDetector } from "./sleep";

test("the server's clock is told by the message that was least delayed", () => {
  const clock = new ServerClock();
  for (const [sent, received] of [[1_000, 510], [2_000, 1_500], [3_000, 2_900]] as const) clock.hear(sent, received);
  expect(clock.now(3_000)).toBe(3_500);
  for (let i = 0; i < 20; i += 1) clock.hear(10_000 + i, 9_900 + i);
  expect(clock.now(20_000)).toBe(20_100);
  clock.reset();
  expect(Math.abs(clock.now(0) - Date.now())).toBeLessThan(1_000);
});

test("a sleep is found where the steady clock stood still, once, and a slow drift is none", () => {
  const detector = new SleepDetector(1_000_000, 0);
  expect(detector.slept(1_000_500, 500)).toBe(false);
  expect(detector.slept(4_600_500, 600)).toBe(true);
  expect(detector.slept(4_601_000, 1_100)).toBe(false);
  for (let i = 1; i < 100; i += 1) expect(detector.slept(4_601_000 + i * 510, 1_100 + i * 500)).toBe(false);
  expect(detector.slept(4_000_000, 51_000)).toBe(false);
});
