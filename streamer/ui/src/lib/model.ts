import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Agent as AgentMessage,
  type Alert as AlertMessage,
  type Contact as ContactMessage,
  Level,
  type Queue as QueueMessage,
  type Span as SpanMessage,
  type TimelineResponse,
  type Window as WindowMessage,
} from "../gen/switchboard/v1/live_pb";

// What the page draws. Times are milliseconds since 1970 by the server's clock; null where the server told none.
// An entity is never altered, only replaced, so that "is it the same object" tells whether to draw it again.

export interface Agent {
  readonly id: number;
  readonly name: string;
  readonly teamId: number;
  readonly team: string;
  readonly state: string;
  readonly reason: string;
  readonly since: number | null;
  readonly contacts: readonly Contacts[];
  readonly contactTotal: number;
  readonly queueIds: readonly number[];
  readonly changedAt: number | null;
  /** Of the last 60 minutes, from 0 to 1; null where the agent was neither on contact nor idle. */
  readonly occupancy: number | null;
}

export interface Contacts {
  readonly channel: string;
  readonly count: number;
}

export interface Queue {
  readonly id: number;
  readonly name: string;
  readonly channel: string;
  readonly targetSeconds: number;
  readonly waiting: number;
  readonly oldestWaitingSince: number | null;
  readonly inService: number;
  readonly agentsAvailable: number;
  readonly agentsBusy: number;
  readonly agentsOffline: number;
  readonly windows: ReadonlyMap<string, WindowFigures>;
  readonly trend: readonly MinuteFigures[];
  readonly changedAt: number | null;
  /** When the newest change in the windows was committed. */
  readonly countedAt: number | null;
}

export interface WindowFigures {
  readonly from: number | null;
  readonly offered: number;
  readonly answered: number;
  readonly abandoned: number;
  readonly shortAbandons: number;
  readonly asaSeconds: number | null;
  readonly ahtSeconds: number | null;
  readonly withinTarget: number;
  readonly counted: number;
  readonly serviceLevel: number | null;
  readonly occupancy: number | null;
}

export interface MinuteFigures {
  readonly offered: number;
  readonly answered: number;
  readonly abandoned: number;
}

export type AlertLevel = "warning" | "critical";

export interface Alert {
  readonly id: string;
  readonly metric: string;
  readonly level: AlertLevel;
  readonly queueId: number;
  readonly agentId: number;
  readonly value: number;
  readonly threshold: number;
  readonly raisedAt: number | null;
  readonly clearedAt: number | null;
  readonly acknowledgedBy: string;
  readonly acknowledgedAt: number | null;
}

export interface TimelineSpan {
  readonly state: string;
  readonly reason: string;
  readonly from: number;
  /** null while it lasts. */
  readonly to: number | null;
}

/** A contact that was the agent's. */
export interface TimelineContact {
  readonly id: string;
  readonly channel: string;
  readonly queueId: number;
  readonly from: number;
  readonly answered: number | null;
  /** null while it lasts. */
  readonly to: number | null;
}

export interface Timeline {
  readonly spans: readonly TimelineSpan[];
  readonly contacts: readonly TimelineContact[];
  /** When the newest change in these was committed. */
  readonly knownAt: number | null;
}

export const millis = (time: Timestamp | undefined): number | null => (time ? timestampMs(time) : null);

export function toAgent(message: AgentMessage): Agent {
  const contacts = toContacts(message.contacts);
  return {
    id: message.agentId,
    name: message.name || `Agent ${message.agentId}`,
    teamId: message.teamId,
    team: message.team || (message.teamId ? `Team ${message.teamId}` : ""),
    state: message.state,
    reason: message.reason,
    since: millis(message.since),
    contacts,
    contactTotal: contacts.reduce((sum, each) => sum + each.count, 0),
    queueIds: message.queueIds,
    changedAt: millis(message.changedAt),
    occupancy: message.occupancy ?? null,
  };
}

function toContacts(contacts: Record<string, number>): Contacts[] {
  return Object.entries(contacts)
    .filter(([, count]) => count > 0)
    .map(([channel, count]) => ({ channel, count }))
    .sort((a, b) => (a.channel < b.channel ? -1 : 1));
}

export function toQueue(message: QueueMessage): Queue {
  return {
    id: message.queueId,
    name: message.name || `Queue ${message.queueId}`,
    channel: message.channel,
    targetSeconds: message.targetSeconds,
    waiting: message.waiting,
    oldestWaitingSince: millis(message.oldestWaitingSince),
    inService: message.inService,
    agentsAvailable: message.agentsAvailable,
    agentsBusy: message.agentsBusy,
    agentsOffline: message.agentsOffline,
    windows: new Map(message.windows.map((each) => [each.span, toWindow(each)])),
    trend: message.trend,
    changedAt: millis(message.changedAt),
    countedAt: millis(message.countedAt),
  };
}

function toWindow(message: WindowMessage): WindowFigures {
  return {
    from: millis(message.from),
    offered: message.offered,
    answered: message.answered,
    abandoned: message.abandoned,
    shortAbandons: message.shortAbandons,
    asaSeconds: message.asaSeconds ?? null,
    ahtSeconds: message.ahtSeconds ?? null,
    withinTarget: message.withinTarget,
    counted: message.counted,
    serviceLevel: message.serviceLevel ?? null,
    occupancy: message.occupancy ?? null,
  };
}

export function toAlert(message: AlertMessage): Alert {
  return {
    id: message.alertId,
    metric: message.metric,
    level: message.level === Level.CRITICAL ? "critical" : "warning",
    queueId: message.queueId,
    agentId: message.agentId,
    value: message.value,
    threshold: message.threshold,
    raisedAt: millis(message.raisedAt),
    clearedAt: millis(message.clearedAt),
    acknowledgedBy: message.acknowledgedBy,
    acknowledgedAt: millis(message.acknowledgedAt),
  };
}

export function toTimeline({ spans, contacts, knownAt }: TimelineResponse): Timeline {
  return { spans: spans.map(toSpan), contacts: contacts.map(toContact), knownAt: millis(knownAt) };
}

function toContact(message: ContactMessage): TimelineContact {
  const { interactionId, channel, queueId, answered } = message;
  return { id: String(interactionId), channel, queueId, from: millis(message.from) ?? 0, answered: millis(answered), to: millis(message.to) };
}

function toSpan(message: SpanMessage): TimelineSpan {
  return { state: message.state, reason: message.reason, from: millis(message.from) ?? 0, to: millis(message.to) };
}
