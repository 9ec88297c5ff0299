import { expect, test } from "vitest";
import { freshness, type Hearing, SILENCE_MS, STALE_MS } from "./freshness";

const heard: Hearing = { signedIn: true, streaming: true, lastMessageAt: 1_000, steadyNow: 1_500, dataAt: 50_000, serverNow: 50_200 };

test.each<[string, Partial<Hearing>, string]>([
  ["all is well", {}, "live"],
  ["the data is as old as it may be", { serverNow: 50_000 + STALE_MS }, "live"],
  ["messages come, but the data stands still", { serverNow: 50_001 + STALE_MS }, "stale"],
  ["nothing has ever changed", { dataAt: null }, "stale"],
  ["the server is silent", { steadyNow: 1_001 + SILENCE_MS }, "reconnecting"],
  ["no message has come yet", { lastMessageAt: null }, "reconnecting"],
  ["the stream has ended", { streaming: false }, "reconnecting"],
  ["the token has ended", { signedIn: false, streaming: false }, "signed-out"],
])("%s", (_, change, state) => {
  expect(freshness({ ...heard, ...change }).state).toBe(state);
});

test("data is never told to be of the future", () => {
  expect(freshness({ ...heard, serverNow: 49_000 }).dataAgeMs).toBe(0);
});
