const RING_SIZE = 20_000;

export interface Painted {
  readonly agentId: number;
  readonly changedAt: number;
  /** By this machine's clock. */
  readonly paintedAt: number;
}

declare global {
  interface Window {
    __switchboard?: { painted: Painted[] };
  }
}

/** Notes when changed rows reached the screen, for tests of latency; there only if the address asks for `?measure`. */
export class PaintRecorder {
  private readonly ring: Painted[] = [];
  private readonly afterPaint = new MessageChannel();
  private waiting: Omit<Painted, "paintedAt">[] = [];

  constructor() {
    window.__switchboard = { painted: this.ring };
    this.afterPaint.port1.onmessage = () => this.stamp();
  }

  /** To be called within the frame that draws the rows: a message posted there is handled once the frame is painted. */
  drawn(agentId: number, changedAt: number): void {
    if (this.waiting.length === 0) this.afterPaint.port2.postMessage(null);
    this.waiting.push({ agentId, changedAt });
  }

  private stamp(): void {
    const paintedAt = Date.now();
    this.ring.push(...this.waiting.map((each) => ({ ...each, paintedAt })));
    this.ring.splice(0, Math.max(0, this.ring.length - RING_SIZE));
    this.waiting = [];
  }
}

export const isMeasuring = (search: string): boolean => new URLSearchParams(search).has("measure");
