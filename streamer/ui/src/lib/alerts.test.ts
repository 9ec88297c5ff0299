import { expect, test } from "vitest";
import { compareAlerts, levelsByQueue, metricName, metricValue } from "./alert-text";
import type { Agent, Alert } from "./model";
import { DEFAULT_THRESHOLDS, indexThresholds, levelOf } from "./thresholds";

const alert = (id: string, some: Partial<Alert> = {}): Alert => ({
  id, metric: "waiting", level: "warning", queueId: 1, agentId: 0, value: 6, threshold: 5, raisedAt: 0, clearedAt: null, acknowledgedBy: "", acknowledgedAt: null, ...some,
});

test("what needs somebody comes first", () => {
  const alerts = [
    alert("cleared", { clearedAt: 9, level: "critical" }),
    alert("minded", { acknowledgedBy: "kim", level: "critical" }),
    alert("old"),
    alert("new", { raisedAt: 5 }),
    alert("critical", { level: "critical" }),
  ];
  expect(alerts.sort(compareAlerts).map(({ id }) => id)).toEqual(["critical", "new", "old", "minded", "cleared"]);
});

test("a queue has the worst level of what stands", () => {
  const alerts = [alert("a"), alert("b", { level: "critical" }), alert("c"), alert("d", { queueId: 2, level: "critical", clearedAt: 1 }), alert("e", { queueId: 0, agentId: 3 })];
  expect(levelsByQueue(alerts)).toEqual(new Map([[1, "critical"]]));
});

test("values are told in the metric's unit", () => {
  expect([metricValue("longest_wait", 75), metricValue("service_level", 0.614), metricValue("waiting", 6), metricValue("other", 1.25)]).toEqual(["1:15", "61%", "6", "1.3"]);
  expect([metricName("asa"), metricName("made_up")]).toEqual(["average speed of answer", "made up"]);
});

test("time in a state has levels, by the state or by its reason", () => {
  const level = (state: string, minutes: number, reason = "") =>
    levelOf({ state, reason, since: 0 } as Agent, minutes * 60_000, indexThresholds(DEFAULT_THRESHOLDS));
  expect([level("After-contact work", 2.9), level("after-contact work", 3), level("after-contact work", 5)]).toEqual([null, "warning", "critical"]);
  expect([level("away", 20, "Break"), level("away", 99), level("available", 999)]).toEqual(["warning", null, null]);
});
