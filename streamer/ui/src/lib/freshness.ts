export const SILENCE_MS = 3_000;
export const STALE_MS = 5_000;

export type BadgeState = "live" | "stale" | "reconnecting" | "signed-out";

export interface Hearing {
  readonly signedIn: boolean;
  readonly streaming: boolean;
  /** By the steady clock; null before the first message. */
  readonly lastMessageAt: number | null;
  readonly steadyNow: number;
  /** By the server's clock; null before the first change. */
  readonly dataAt: number | null;
  readonly serverNow: number;
}

export interface Freshness {
  readonly state: BadgeState;
  /** How old the data is, where that can be told. */
  readonly dataAgeMs: number | null;
}

export function freshness(hearing: Hearing): Freshness {
  const dataAgeMs = hearing.dataAt === null ? null : Math.max(0, hearing.serverNow - hearing.dataAt);
  return { state: badgeState(hearing, dataAgeMs), dataAgeMs };
}

function badgeState(hearing: Hearing, dataAgeMs: number | null): BadgeState {
  if (!hearing.signedIn) return "signed-out";
  if (!hearing.streaming || isSilent(hearing)) return "reconnecting";
  return dataAgeMs !== null && dataAgeMs <= STALE_MS ? "live" : "stale";
}

function isSilent(hearing: Hearing): boolean {
  return hearing.lastMessageAt === null || hearing.steadyNow - hearing.lastMessageAt > SILENCE_MS;
}
