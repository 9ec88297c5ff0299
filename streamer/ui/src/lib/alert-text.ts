import { clockDuration } from "./duration";
import type { Alert } from "./model";
import { percent } from "./rates";

const METRICS: Readonly<Record<string, string>> = {
  longest_wait: "longest wait",
  waiting: "waiting",
  service_level: "service level",
  time_in_state: "time in state",
  asa: "average speed of answer",
  aht: "average handle time",
};
const IN_SECONDS = new Set(["longest_wait", "time_in_state", "asa", "aht"]);
const RATIOS = new Set(["service_level", "occupancy"]);

export function metricName(metric: string): string {
  return METRICS[metric] ?? metric.replaceAll("_", " ");
}

export function metricValue(metric: string, value: number): string {
  if (IN_SECONDS.has(metric)) return clockDuration(value * 1000);
  if (RATIOS.has(metric)) return percent(value);
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}

/** What needs somebody first: standing before cleared, unminded before minded, critical before warning, newest first. */
export function compareAlerts(a: Alert, b: Alert): number {
  return urgency(a) - urgency(b) || (b.raisedAt ?? 0) - (a.raisedAt ?? 0) || (a.id < b.id ? -1 : 1);
}

function urgency(alert: Alert): number {
  const cleared = alert.clearedAt === null ? 0 : 4;
  const minded = alert.acknowledgedBy === "" ? 0 : 2;
  return cleared + minded + (alert.level === "critical" ? 0 : 1);
}

/** The worst level among the alerts that stand, by queue. */
export function levelsByQueue(alerts: Iterable<Alert>): Map<number, Alert["level"]> {
  const levels = new Map<number, Alert["level"]>();
  for (const alert of alerts) {
    if (alert.queueId === 0 || alert.clearedAt !== null) continue;
    if (alert.level === "critical" || !levels.has(alert.queueId)) levels.set(alert.queueId, alert.level);
  }
  return levels;
}
