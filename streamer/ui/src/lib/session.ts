const KEY = "switchboard.token";

/** Takes a token out of the address, so that it stays in no history and no copied link. */
export function takeTokenFromAddress(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return token.trim() || null;
}

export function savedToken(): string | null {
  return sessionStorage.getItem(KEY) || null;
}

export function saveToken(token: string): void {
  sessionStorage.setItem(KEY, token.trim());
}

export function forgetToken(): void {
  sessionStorage.removeItem(KEY);
}

/**
 * Whether a token that a link brings may be used without a question: a link must not move somebody who is signed in into
 * another session, where what they do is another's.
 */
export function mayReplace(current: string | null, brought: string, now: number): boolean {
  return current === null || current === brought || hasEnded(current, now);
}

/** By its own claim; the server alone can tell whether a token is good. */
function hasEnded(token: string, now: number): boolean {
  const { exp } = claimsOf(token);
  return typeof exp === "number" && exp * 1000 <= now;
}

/** "kim of account 7", so that two sessions can be told apart. */
export function nameOf(token: string): string {
  const { tenant, sub } = claimsOf(token);
  const who = typeof sub === "string" ? sub : "somebody";
  return typeof tenant === "number" ? `${who} of account ${tenant}` : who;
}

function claimsOf(token: string): Record<string, unknown> {
  try {
    const bytes = Uint8Array.from(atob((token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    return Object(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return {};
  }
}
