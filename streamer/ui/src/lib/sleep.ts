const JUMP_MS = 2_000;

/**
 * Finds out that the machine slept: the steady clock of most browsers stands still meanwhile, the wall clock does not. A
 * wall clock that is put forward looks the same; then a stream is opened anew for nothing.
 */
export class SleepDetector {
  private ahead: number;

  constructor(wallNow: number, steadyNow: number) {
    this.ahead = wallNow - steadyNow;
  }

  /** Whether it slept since it was last asked. */
  slept(wallNow: number, steadyNow: number): boolean {
    const before = this.ahead;
    this.ahead = wallNow - steadyNow;
    return this.ahead - before > JUMP_MS;
  }
}
