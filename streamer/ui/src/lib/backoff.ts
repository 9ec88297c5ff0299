const SHORTEST_MS = 500;
const LONGEST_MS = 10_000;

/**
 * How long to wait before trying again. Chance spreads the pages of one centre, so that a server that comes back is
 * not met by all of them at once.
 */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  const ceiling = Math.min(LONGEST_MS, SHORTEST_MS * 2 ** Math.max(1, failures));
  return SHORTEST_MS + random() * (ceiling - SHORTEST_MS);
}
