import { Code, ConnectError } from "@connectrpc/connect";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { WatchResponse } from "../gen/switchboard/v1/live_pb";
import { type SupervisorClient, supervisorClient } from "./client";
import { EntityStore } from "./entity-store";
import { type BadgeState, freshness } from "./freshness";
import { type Agent, type Alert, millis, type Queue, type Timeline, toTimeline } from "./model";
import { ServerClock } from "./server-clock";
import { forgetToken, saveToken } from "./session";
import { SleepDetector } from "./sleep";
import { SESSION_ENDED, Watcher } from "./watcher";

const TICK_MS = 500;
/** A page that nobody sees for so long lets its stream go: a browser keeps few connections to one server, for all tabs. */
const HIDDEN_MS = 5_000;

/**
 * What the components read. Messages go into the store as they come, hidden tab or not; the fields below follow at
 * most once a frame, so that a burst of messages is drawn once.
 */
export class Live {
  agents = $state.raw<readonly Agent[]>([]);
  queues = $state.raw<readonly Queue[]>([]);
  alerts = $state.raw<readonly Alert[]>([]);
  queueNames = $state.raw<ReadonlyMap<number, string>>(new Map());
  /** The agents that the messages since the last frame changed; a snapshot's do not count. */
  changedAgents = $state.raw<ReadonlySet<number>>(new Set());
  serverNow = $state(Date.now());
  badge = $state<BadgeState>("signed-out");
  /** null before the first change. */
  dataAgeSeconds = $state<number | null>(null);
  everHeard = $state(false);
  refusal = $state("");
  /** A token that a link has brought to who is signed in already. */
  offered = $state<string | null>(null);
  /** Whether the stream that was asked for last has told nothing in time. */
  noAnswer = $state(false);

  private readonly store = new EntityStore();
  private readonly clock = new ServerClock();
  private readonly sleep = new SleepDetector(Date.now(), performance.now());
  private client: SupervisorClient | null = $state.raw(null);
  private watcher: Watcher | null = null;
  private streaming = false;
  private lastMessageAt: number | null = null;
  private dataAt: number | null = null;
  private changedSoon = new Set<number>();
  private stale = { agents: false, queues: false, alerts: false };
  private frame: number | null = null;
  private namesVersion = -1;
  private hiding: ReturnType<typeof setTimeout> | undefined;

  /** Returns what stops it. */
  start(): () => void {
    const timer = setInterval(() => this.tick(), TICK_MS);
    const wake = () => this.wake();
    const seen = () => this.seenOrHidden();
    document.addEventListener("visibilitychange", seen);
    window.addEventListener("online", wake);
    return () => {
      clearInterval(timer);
      clearTimeout(this.hiding);
      document.removeEventListener("visibilitychange", seen);
      window.removeEventListener("online", wake);
      this.watcher?.stop();
    };
  }

  signIn(token: string): void {
    this.leave();
    saveToken(token);
    const client = supervisorClient(token);
    this.client = client;
    this.refusal = "";
    this.offered = null;
    this.watcher = new Watcher({
      open: (signal) => client.watch({}, { signal, timeoutMs: 0 }),
      onMessage: (message) => this.receive(message),
      onStreaming: (streaming) => this.setStreaming(streaming),
      onNoAnswer: () => (this.noAnswer = true),
      onRefused: (reason) => this.signOut(reason),
    });
    void this.watcher.run();
    this.seenOrHidden();
    this.tick();
  }

  /** What a token showed goes with it: the next one may be another tenant's. */
  signOut(reason = ""): void {
    this.leave();
    forgetToken();
    this.refusal = reason;
    this.tick();
  }

  agent(id: number): Agent | undefined {
    void this.agents;
    return this.store.agents.get(id);
  }

  queueName(id: number): string {
    return this.queueNames.get(id) ?? `Queue ${id}`;
  }

  async timeline(agentId: number, hours: number, signal: AbortSignal): Promise<Timeline> {
    return toTimeline(await this.call((client) => client.timeline({ agentId, hours }, { signal })));
  }

  async acknowledge(alertId: string): Promise<void> {
    const { alert } = await this.call((client) => client.acknowledge({ alertId }));
    if (!alert) return;
    this.store.applyAlert(alert);
    this.stale.alerts = true;
    this.drawSoon();
  }

  private async call<Answer>(ask: (client: SupervisorClient) => Promise<Answer>): Promise<Answer> {
    if (!this.client) throw new Error("Signed out");
    try {
      return await ask(this.client);
    } catch (error) {
      if (ConnectError.from(error).code === Code.Unauthenticated) this.signOut(SESSION_ENDED);
      throw error;
    }
  }

  private receive(message: WatchResponse): void {
    if (this.sleptMeanwhile()) return;
    this.lastMessageAt = performance.now();
    if (message.sentAt) this.clock.hear(timestampMs(message.sentAt), this.lastMessageAt);
    this.dataAt = millis(message.dataAt) ?? (message.snapshot ? null : this.dataAt);
    this.store.apply(message);
    if (message.snapshot) this.changedSoon.clear();
    else for (const { agentId } of message.agents) this.changedSoon.add(agentId);
    this.markStale(message);
    this.drawSoon();
  }

  private markStale({ snapshot, agents, removedAgentIds, queues, removedQueueIds, alerts }: WatchResponse): void {
    this.stale.agents ||= snapshot || agents.length > 0 || removedAgentIds.length > 0;
    this.stale.queues ||= snapshot || queues.length > 0 || removedQueueIds.length > 0;
    this.stale.alerts ||= snapshot || alerts.length > 0;
  }

  private setStreaming(streaming: boolean): void {
    this.streaming = streaming;
    if (streaming) this.noAnswer = false;
    if (streaming) this.clock.reset();
    this.tick();
  }

  private drawSoon(): void {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  private draw(): void {
    this.everHeard ||= this.lastMessageAt !== null;
    if (this.namesVersion !== this.store.queueNamesVersion) {
      this.namesVersion = this.store.queueNamesVersion;
      this.queueNames = this.store.queueNames();
    }
    if (this.stale.agents) this.agents = [...this.store.agents.values()];
    if (this.stale.queues) this.queues = [...this.store.queues.values()];
    if (this.stale.alerts) this.alerts = [...this.store.alerts.values()];
    if (this.stale.agents) this.changedAgents = this.changedSoon;
    if (this.stale.agents) this.changedSoon = new Set();
    this.stale = { agents: false, queues: false, alerts: false };
    this.tick();
  }

  /** After a sleep nothing that is held is known to be true, and the stream may be dead without a word. */
  private sleptMeanwhile(): boolean {
    if (!this.sleep.slept(Date.now(), performance.now())) return false;
    this.lastMessageAt = null;
    this.clock.reset();
    this.watcher?.restart();
    return true;
  }

  private tick(): void {
    this.sleptMeanwhile();
    const steadyNow = performance.now();
    const serverNow = this.clock.now(steadyNow);
    const { lastMessageAt, streaming, dataAt } = this;
    const fresh = freshness({ signedIn: this.client !== null, streaming, lastMessageAt, steadyNow, dataAt, serverNow });
    this.serverNow = serverNow;
    this.badge = fresh.state;
    this.dataAgeSeconds = fresh.dataAgeMs === null ? null : Math.floor(fresh.dataAgeMs / 1000);
    if (this.store.dropOldAlerts(serverNow)) this.alerts = [...this.store.alerts.values()];
  }

  private seenOrHidden(): void {
    clearTimeout(this.hiding);
    if (document.hidden) this.hiding = setTimeout(() => this.watcher?.pause(), HIDDEN_MS);
    else this.watcher?.resume();
    this.wake();
  }

  private wake(): void {
    if (document.hidden) return;
    this.watcher?.nudge();
    this.tick();
  }

  private leave(): void {
    this.watcher?.stop();
    this.watcher = null;
    this.client = null;
    this.streaming = false;
    this.lastMessageAt = null;
    this.dataAt = null;
    this.everHeard = false;
    this.noAnswer = false;
    this.clock.reset();
    this.store.clear();
    this.stale = { agents: true, queues: true, alerts: true };
    this.drawSoon();
  }
}
