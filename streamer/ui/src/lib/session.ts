const KEY = "switchboard.token";

/** Moves a token from the address to the session's storage, so that it stays in no history and no copied link. */
export function takeTokenFromAddress(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return null;
  history.replaceState(null, "", location.pathname + location.search);
  saveToken(token);
  return token.trim();
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
