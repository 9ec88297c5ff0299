const PAUSES_MS = [500, 1_000, 2_000, 4_000, 8_000];

/**
 * Reads again until what was read holds what the stream has told already: it may be a little behind. One reading at a time,
 * a few of them at most for each time that it is asked.
 */
export class TimelineReader {
  private readonly life = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private reading = false;
  private askedMeanwhile = false;
  private readings = 0;

  /** `read` tells whether nothing is missing; it has failures told by itself. */
  constructor(private readonly read: (signal: AbortSignal) => Promise<boolean>) {}

  ask(): void {
    this.readings = 0;
    if (this.reading) this.askedMeanwhile = true;
    else void this.readOnce();
  }

  stop(): void {
    this.life.abort();
    clearTimeout(this.timer);
  }

  private async readOnce(): Promise<void> {
    clearTimeout(this.timer);
    this.reading = true;
    const whole = await this.read(this.life.signal);
    this.reading = false;
    if (this.life.signal.aborted) return;
    const pause = this.askedMeanwhile ? 0 : whole ? undefined : PAUSES_MS[this.readings++];
    this.askedMeanwhile = false;
    if (pause !== undefined) this.timer = setTimeout(() => void this.readOnce(), pause);
  }
}
