import { Code, ConnectError } from "@connectrpc/connect";
import type { WatchResponse } from "../gen/switchboard/v1/live_pb";
import { backoffMs } from "./backoff";
import { SILENCE_MS } from "./freshness";

/** A connection silent for so long is given up: its other end may be gone without a word. */
const GIVE_UP_MS = 2 * SILENCE_MS;
const FIRST_MESSAGE_MS = 10_000;
const LOOK_EVERY_MS = 500;
export const SESSION_ENDED = "Your session has ended. Sign in with a new token.";

export interface WatcherHooks {
  open(signal: AbortSignal): AsyncIterable<WatchResponse>;
  onMessage(message: WatchResponse): void;
  onStreaming(streaming: boolean): void;
  /** A stream that was asked for has not told anything in time. */
  onNoAnswer(): void;
  /** The token is not, or no longer, good; the watcher has stopped. */
  onRefused(reason: string): void;
}

/** Keeps one Watch stream open for as long as it is neither stopped nor paused. */
export class Watcher {
  private readonly life = new AbortController();
  private attempt = new AbortController();
  private failures = 0;
  private heardAt: number | null = null;
  private wake: () => void = () => {};
  private paused = false;

  constructor(private readonly hooks: WatcherHooks) {}

  async run(): Promise<void> {
    while (!this.life.signal.aborted) {
      while (this.paused && !this.life.signal.aborted) await this.sleep(null);
      if (this.life.signal.aborted) return;
      const refusal = await this.readOneStream();
      if (this.life.signal.aborted) return;
      this.hooks.onStreaming(false);
      if (refusal !== null) return this.hooks.onRefused(refusal);
      this.failures += 1;
      if (!this.paused) await this.sleep(backoffMs(this.failures));
    }
  }

  stop(): void {
    this.life.abort();
    this.attempt.abort();
    this.wake();
  }

  /** Lets the stream go until `resume`. */
  pause(): void {
    this.paused = true;
    this.attempt.abort();
  }

  resume(): void {
    this.paused = false;
    this.failures = 0;
    this.wake();
  }

  /** What this machine holds of the stream is worth nothing, as after a sleep. */
  restart(): void {
    this.failures = 0;
    this.attempt.abort();
    this.wake();
  }

  /** The tab is seen again, or the network is back: don't wait for timers, which may have been slowed down. */
  nudge(): void {
    this.failures = 0;
    this.wake();
    if (this.heardAt !== null && this.silence() > SILENCE_MS) this.attempt.abort();
  }

  /** Why the server refuses the token; null if it broke off for any other reason. */
  private async readOneStream(): Promise<string | null> {
    this.attempt = new AbortController();
    const guard = this.guard(this.attempt);
    try {
      for await (const message of this.hooks.open(this.attempt.signal)) this.hear(message);
      return null;
    } catch (error) {
      return refusalOf(error);
    } finally {
      clearInterval(guard);
    }
  }

  private hear(message: WatchResponse): void {
    if (this.attempt.signal.aborted) return;
    if (this.heardAt === null) this.hooks.onStreaming(true);
    this.heardAt = performance.now();
    this.failures = 0;
    this.hooks.onMessage(message);
  }

  private guard(attempt: AbortController): ReturnType<typeof setInterval> {
    const openedAt = performance.now();
    this.heardAt = null;
    return setInterval(() => {
      const late = this.heardAt === null ? performance.now() - openedAt > FIRST_MESSAGE_MS : this.silence() > GIVE_UP_MS;
      if (!late) return;
      if (this.heardAt === null) this.hooks.onNoAnswer();
      attempt.abort();
    }, LOOK_EVERY_MS);
  }

  private silence(): number {
    return this.heardAt === null ? 0 : performance.now() - this.heardAt;
  }

  /** For so long, or without end, unless it is woken. */
  private async sleep(ms: number | null): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      if (ms !== null) timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.wake = () => {};
  }
}

function refusalOf(error: unknown): string | null {
  return ConnectError.from(error).code === Code.Unauthenticated ? SESSION_ENDED : null;
}
