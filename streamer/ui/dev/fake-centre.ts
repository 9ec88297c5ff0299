import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Agent,
  AgentSchema,
  type Alert,
  AlertSchema,
  type Contact,
  ContactSchema,
  Level,
  type Queue,
  QueueSchema,
  type Span,
  SpanSchema,
  WindowSchema,
} from "../src/gen/switchboard/v1/live_pb";

// A contact centre that is not there: random traffic to develop the page against. Nothing here is measured or true.

const FIRST = ["Ada", "Ben", "Chloé", "Dmitri", "Esther", "Farid", "Grace", "Hugo", "Inês", "Jakub", "Kim", "Lena", "Mário", "Nadia", "Oskar", "Priya"];
const LAST = ["Abara", "Bakker", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Horvat", "Ivanova", "Jensen", "Kowalski", "Lindqvist", "Müller"];
const TEAMS = ["Billing", "Claims", "Complaints", "Night shift", "Onboarding", "Retention", "Sales", "Technical support"];
const QUEUES = ["Billing voice", "Claims mail", "Complaints voice", "General chat", "New customers", "Retention voice", "Sales chat", "Sales voice", "Technical chat", "Technical voice", "VIP voice", "WhatsApp"];
const CHANNELS = ["voice", "mail", "voice", "chat", "voice", "voice", "chat", "voice", "chat", "voice", "voice", "message"];
const STATES = ["on contact", "available", "after-contact work", "break", "incoming", "offline", "training", "missed", "rejected", "error"];
const WEIGHTS = [45, 18, 12, 8, 3, 6, 3, 2, 2, 1];
const REASONS: Record<string, string[]> = { break: ["Lunch", "Coffee", ""], offline: ["End of shift", ""], error: ["Headset"], training: ["Coaching"] };
const SPANS: readonly (readonly [string, number])[] = [["15m", 15], ["30m", 30], ["60m", 60], ["day", 480]];

const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)]!;
const below = (n: number): number => Math.floor(Math.random() * n);
export const at = (ms: number): Timestamp => timestampFromMs(Math.round(ms));
const agoMs = (ms: number): Timestamp => at(Date.now() - ms);

export interface Changes {
  agents: Agent[];
  queues: Queue[];
  alerts: Alert[];
}

export class FakeCentre {
  readonly agents: Agent[];
  readonly queues: Queue[];
  readonly alerts = new Map<string, Alert>();
  private alertNumber = 0;

  constructor(agentCount: number) {
    this.queues = QUEUES.map((name, i) => fakeQueue(i + 1, name, CHANNELS[i]!));
    this.agents = Array.from({ length: agentCount }, (_, i) => fakeAgent(i + 1));
    for (let i = 0; i < 5; i += 1) this.raiseAlert();
  }

  /** Alters so many agents, and whatever else moves in that time. */
  step(agentCount: number): Changes {
    const agents = Array.from({ length: agentCount }, () => this.changeAgent());
    const queues = Array.from({ length: 3 }, () => this.changeQueue());
    return { agents: [...new Set(agents)], queues: [...new Set(queues)], alerts: Math.random() < 0.1 ? this.moveAlerts() : [] };
  }

  timeline(agentId: number, hours: number): Span[] {
    const spans: Span[] = [];
    const agent = this.agents[agentId - 1];
    const now = Date.now();
    let moment = now - hours * 3_600_000;
    const until = agent?.since ? timestampMs(agent.since) : now;
    while (moment < until) {
      const to = Math.min(until, moment + 20_000 + Math.random() ** 3 * 1_800_000);
      const state = randomState();
      spans.push(create(SpanSchema, { state, reason: reasonFor(state), from: at(moment), to: at(to) }));
      moment = to;
    }
    if (agent) spans.push(create(SpanSchema, { state: agent.state, reason: agent.reason, from: at(until) }));
    return spans;
  }

  contacts(hours: number): Contact[] {
    return Array.from({ length: hours * 3 }, (_, i) => {
      const from = Date.now() - Math.random() * hours * 3_600_000;
      const answered = from + below(90_000);
      const times = { from: at(from), answered: at(answered), to: at(answered + 60_000 + below(900_000)) };
      return create(ContactSchema, { interactionId: BigInt(i + 1), channel: pick(["voice", "voice", "chat"]), queueId: 1 + below(QUEUES.length), ...times });
    }).sort((a, b) => Number(a.from!.seconds - b.from!.seconds));
  }

  acknowledge(alertId: string): Alert | undefined {
    const alert = this.alerts.get(alertId);
    if (!alert) return undefined;
    alert.acknowledgedBy ||= "kim.supervisor";
    alert.acknowledgedAt ??= agoMs(0);
    return alert;
  }

  private changeAgent(): Agent {
    const agent = this.agents[below(this.agents.length)]!;
    if (Math.random() < 0.4) putInState(agent, randomState(), Date.now());
    agent.changedAt = agoMs(0);
    return agent;
  }

  private changeQueue(): Queue {
    const i = below(this.queues.length);
    const old = this.queues[i]!;
    const queue = fakeQueue(old.queueId, old.name, old.channel);
    queue.trend = [...old.trend.slice(1), fakeMinute()];
    if (old.oldestWaitingSince && queue.waiting > 0) queue.oldestWaitingSince = old.oldestWaitingSince;
    return (this.queues[i] = queue);
  }

  private moveAlerts(): Alert[] {
    const standing = [...this.alerts.values()].filter((alert) => !alert.clearedAt);
    if (standing.length < 8 && Math.random() < 0.6) return [this.raiseAlert()];
    const alert = pick(standing);
    alert.clearedAt = agoMs(0);
    return [alert];
  }

  private raiseAlert(): Alert {
    this.alertNumber += 1;
    const alert = create(AlertSchema, { alertId: `fake-${this.alertNumber}`, raisedAt: agoMs(below(240_000)), ...pick(alertKinds()) });
    this.alerts.set(alert.alertId, alert);
    return alert;
  }
}

function alertKinds(): MessageInitShape<typeof AlertSchema>[] {
  const queueId = 1 + below(QUEUES.length);
  return [
    { metric: "longest_wait", level: Level.CRITICAL, queueId, value: 155 + below(200), threshold: 120 },
    { metric: "waiting", level: Level.WARNING, queueId, value: 12 + below(9), threshold: 10 },
    { metric: "service_level", level: Level.WARNING, queueId, value: 0.5 + Math.random() * 0.25, threshold: 0.8 },
    { metric: "time_in_state", level: Level.WARNING, agentId: 1 + below(20), value: 320 + below(100), threshold: 300 },
  ];
}

function fakeAgent(agentId: number): Agent {
  const team = below(TEAMS.length);
  const agent = create(AgentSchema, {
    agentId,
    name: agentId % 97 === 0 ? "" : `${FIRST[agentId % FIRST.length]} ${LAST[(agentId * 7) % LAST.length]}${agentId > 208 ? ` ${agentId}` : ""}`,
    teamId: team + 1,
    team: TEAMS[team]!,
    queueIds: [...new Set([1 + below(QUEUES.length), 1 + below(QUEUES.length), 1 + below(QUEUES.length)])],
    changedAt: agoMs(below(20_000)),
    occupancy: 0.5 + Math.random() / 2,
  });
  putInState(agent, randomState(), Date.now() - Math.random() ** 4 * 2_400_000);
  return agent;
}

function putInState(agent: Agent, state: string, since: number): void {
  agent.state = state;
  agent.since = at(since);
  agent.reason = reasonFor(state);
  agent.contacts = state === "on contact" ? (Math.random() < 0.6 ? { voice: 1 } : { chat: 1 + below(4), mail: below(2) }) : {};
}

function reasonFor(state: string): string {
  return pick(REASONS[state] ?? [""]);
}

function randomState(): string {
  let left = below(WEIGHTS.reduce((a, b) => a + b, 0));
  return STATES.find((_, i) => (left -= WEIGHTS[i]!) < 0) ?? "offline";
}

function fakeQueue(queueId: number, name: string, channel: string): Queue {
  const waiting = Math.max(0, below(14) - 5);
  return create(QueueSchema, {
    queueId,
    name,
    channel,
    targetSeconds: channel === "mail" ? 3600 : 20,
    waiting,
    ...(waiting > 0 ? { oldestWaitingSince: agoMs(below(180_000)) } : {}),
    inService: below(40),
    agentsAvailable: below(20),
    agentsBusy: 20 + below(60),
    agentsOffline: below(15),
    windows: SPANS.map(([span, minutes]) => fakeWindow(span, minutes)),
    trend: Array.from({ length: 60 }, fakeMinute),
    changedAt: agoMs(0),
    countedAt: agoMs(below(90_000)),
  });
}

function fakeWindow(span: string, minutes: number) {
  const offered = below(minutes * 4);
  const abandoned = Math.floor(offered * 0.08);
  const shortAbandons = Math.floor(abandoned / 4);
  const counted = offered - shortAbandons;
  const withinTarget = Math.floor(counted * (0.6 + Math.random() * 0.35));
  const rates = counted > 0 ? { asaSeconds: 5 + below(40), ahtSeconds: 200 + below(200), serviceLevel: withinTarget / counted, occupancy: 0.6 + Math.random() * 0.35 } : {};
  const from = agoMs(minutes * 60_000);
  return create(WindowSchema, { span, from, offered, answered: offered - abandoned, abandoned, shortAbandons, withinTarget, counted, ...rates });
}

function fakeMinute() {
  const offered = 2 + below(8);
  const abandoned = Math.random() < 0.15 ? 1 + below(2) : 0;
  return { $typeName: "switchboard.v1.Minute" as const, offered, abandoned, answered: Math.max(0, offered - abandoned - below(2)) };
}
