export interface StateLook {
  /** One or two letters, so that no state is told by its colour alone. */
  readonly mark: string;
  /** Names a colour of tokens.css. */
  readonly tone: string;
  readonly rank: number;
}

const KNOWN: Readonly<Record<string, StateLook>> = {
  error: { mark: "E", tone: "error", rank: 0 },
  missed: { mark: "M", tone: "missed", rank: 1 },
  rejected: { mark: "R", tone: "rejected", rank: 2 },
  "on contact": { mark: "C", tone: "contact", rank: 3 },
  "after-contact work": { mark: "W", tone: "wrapup", rank: 4 },
  incoming: { mark: "I", tone: "incoming", rank: 5 },
  available: { mark: "A", tone: "available", rank: 7 },
  offline: { mark: "O", tone: "offline", rank: 8 },
};
const OWN_RANK = 6;

/** A state of the tenant's own has two letters, so that it is not taken for one of the known ones. */
export function lookOf(state: string): StateLook {
  return KNOWN[state.toLowerCase()] ?? { mark: ownMark(state), tone: "own", rank: OWN_RANK };
}

function ownMark(state: string): string {
  const letters = state.trim().slice(0, 2);
  return letters ? letters.charAt(0).toUpperCase() + letters.slice(1).toLowerCase() : "?";
}

export function compareStates(a: string, b: string): number {
  return lookOf(a).rank - lookOf(b).rank || (a < b ? -1 : a > b ? 1 : 0);
}
