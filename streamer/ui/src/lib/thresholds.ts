import type { Agent, AlertLevel } from "./model";

export interface Threshold {
  readonly state: string;
  readonly warningMinutes: number;
  readonly criticalMinutes: number;
}

export const DEFAULT_THRESHOLDS: readonly Threshold[] = [
  { state: "after-contact work", warningMinutes: 3, criticalMinutes: 5 },
  { state: "break", warningMinutes: 20, criticalMinutes: 30 },
  { state: "on contact", warningMinutes: 15, criticalMinutes: 30 },
];

const MINUTE_MS = 60_000;

export type ThresholdsByState = ReadonlyMap<string, Threshold>;

export function indexThresholds(thresholds: readonly Threshold[]): ThresholdsByState {
  return new Map(thresholds.map((each) => [normal(each.state), each]));
}

export function levelOf(agent: Agent, serverNow: number, thresholds: ThresholdsByState): AlertLevel | null {
  const threshold = thresholdFor(agent, thresholds);
  if (!threshold || agent.since === null) return null;
  const minutes = (serverNow - agent.since) / MINUTE_MS;
  if (minutes >= threshold.criticalMinutes) return "critical";
  return minutes >= threshold.warningMinutes ? "warning" : null;
}

// Some tenants have a state "break", others a state with "break" as its reason.
export function thresholdFor(agent: Agent, thresholds: ThresholdsByState): Threshold | undefined {
  return thresholds.get(normal(agent.state)) ?? (agent.reason ? thresholds.get(normal(agent.reason)) : undefined);
}

/** What localStorage holds may be of an older page, or edited by hand. */
export function readThresholds(stored: unknown): readonly Threshold[] {
  if (!Array.isArray(stored) || !stored.every(isThreshold)) return DEFAULT_THRESHOLDS;
  return stored.map(({ state, warningMinutes, criticalMinutes }) => ({ state, warningMinutes, criticalMinutes }));
}

/** What is wrong with a threshold, in words; null if nothing is. */
export function faultOf(threshold: Threshold): string | null {
  if (!(threshold.warningMinutes > 0 && threshold.criticalMinutes > 0)) return "Minutes must be more than 0.";
  if (threshold.criticalMinutes < threshold.warningMinutes) return "Critical must not come before warning.";
  return null;
}

function isThreshold(value: unknown): value is Threshold {
  if (typeof value !== "object" || value === null) return false;
  const { state, warningMinutes, criticalMinutes } = value as Partial<Threshold>;
  if (typeof state !== "string" || typeof warningMinutes !== "number" || typeof criticalMinutes !== "number") return false;
  return state !== "" && faultOf({ state, warningMinutes, criticalMinutes }) === null;
}

const normal = (state: string) => state.trim().toLowerCase();
