const SAMPLES = 20;

/**
 * The server's clock, told from `sent_at`. A message is never received before it was sent, so of the last samples the
 * one that puts the server's clock furthest ahead was the least delayed. Local times are of the steady clock
 * (performance.now()), which a correction of the wall clock does not move.
 */
export class ServerClock {
  private offsets: number[] = [];

  hear(sentAt: number, receivedAt: number): void {
    this.offsets.push(sentAt - receivedAt);
    if (this.offsets.length > SAMPLES) this.offsets.shift();
  }

  reset(): void {
    this.offsets = [];
  }

  /** Before the first message there is only the machine's own clock to go by. */
  now(steadyNow: number): number {
    if (this.offsets.length === 0) return Date.now();
    return steadyNow + Math.max(...this.offsets);
  }
}
