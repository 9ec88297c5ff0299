import { compareStates } from "./agent-state";
import { groupBy } from "./group-by";
import type { Agent } from "./model";

export type SortColumn = "name" | "team" | "state" | "time" | "reason" | "contacts" | "queues" | "occupancy" | "age";
export const SORT_COLUMNS: readonly SortColumn[] = ["name", "team", "state", "time", "reason", "contacts", "queues", "occupancy", "age"];

export interface Order {
  readonly column: SortColumn;
  readonly descending: boolean;
}

export interface GridQuery extends Order {
  readonly text: string;
  /** Empty: all of them. */
  readonly states: ReadonlySet<string>;
  readonly queueId: number | null;
  readonly grouped: boolean;
}

export type QueueNames = ReadonlyMap<number, string>;
export type GridLine = AgentLine | TeamLine;

export interface AgentLine {
  readonly kind: "agent";
  readonly key: string;
  readonly agent: Agent;
}

export interface TeamLine {
  readonly kind: "team";
  readonly key: string;
  readonly team: string;
  readonly size: number;
}

type Compare = (a: Agent, b: Agent) => number;

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

export function gridLines(agents: Iterable<Agent>, query: GridQuery, names: QueueNames): GridLine[] {
  const sorted = [...agents].filter(matcher(query, names)).sort(comparison(query, names));
  return query.grouped ? byTeam(sorted) : sorted.map(agentLine);
}

/** The next order when a column's header is pressed: the same column turns round. */
export function pressColumn(order: Order, column: SortColumn): Order {
  return { column, descending: order.column === column && !order.descending };
}

export function queueNamesOf(agent: Agent, names: QueueNames): string {
  return agent.queueIds.map((id) => names.get(id) ?? `Queue ${id}`).join(", ");
}

export function countStates(agents: Iterable<Agent>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { state } of agents) counts.set(state, (counts.get(state) ?? 0) + 1);
  return new Map([...counts].sort(([a], [b]) => compareStates(a, b)));
}

function matcher(query: GridQuery, names: QueueNames): (agent: Agent) => boolean {
  const words = query.text.toLowerCase().split(/\s+/).filter(Boolean);
  return (agent) =>
    (query.states.size === 0 || query.states.has(agent.state)) &&
    (query.queueId === null || agent.queueIds.includes(query.queueId)) &&
    (words.length === 0 || hasWords(agent, words, names));
}

function hasWords(agent: Agent, words: readonly string[], names: QueueNames): boolean {
  const fields = [agent.name, agent.team, agent.state, agent.reason, queueNamesOf(agent, names), String(agent.id)];
  const text = fields.join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}

function comparison({ column, descending }: Order, names: QueueNames): Compare {
  const compare = columnComparison(column, names);
  const sign = descending ? -1 : 1;
  return (a, b) => sign * compare(a, b) || byName(a, b) || a.id - b.id;
}

const byName: Compare = (a, b) => (a.name === b.name ? 0 : collator.compare(a.name, b.name));

function columnComparison(column: SortColumn, names: QueueNames): Compare {
  switch (column) {
    case "name":
      return byName;
    case "team":
      return (a, b) => (a.team === b.team ? 0 : collator.compare(a.team, b.team));
    case "state":
      return (a, b) => (a.state === b.state ? 0 : compareStates(a.state, b.state));
    case "time":
      return (a, b) => byMoment(a.since, b.since);
    case "reason":
      return (a, b) => (a.reason === b.reason ? 0 : collator.compare(a.reason, b.reason));
    case "contacts":
      return (a, b) => a.contactTotal - b.contactTotal;
    case "queues":
      return (a, b) => collator.compare(queueNamesOf(a, names), queueNamesOf(b, names));
    case "occupancy":
      return (a, b) => (a.occupancy ?? -1) - (b.occupancy ?? -1);
    case "age":
      return (a, b) => byMoment(a.changedAt, b.changedAt);
  }
}

/** The later, the shorter ago. Sorting by the moment needs no sorting again as time goes by. */
function byMoment(a: number | null, b: number | null): number {
  return (b ?? Number.MAX_SAFE_INTEGER) - (a ?? Number.MAX_SAFE_INTEGER);
}

function agentLine(agent: Agent): AgentLine {
  return { kind: "agent", key: `a${agent.id}`, agent };
}

function byTeam(sorted: readonly Agent[]): GridLine[] {
  const teams = groupBy(sorted, (agent) => agent.teamId);
  return [...teams.values()].sort(byTeamName).flatMap(teamLines);
}

function byTeamName(a: readonly Agent[], b: readonly Agent[]): number {
  return collator.compare(a[0]?.team ?? "", b[0]?.team ?? "");
}

function teamLines(agents: readonly Agent[]): GridLine[] {
  const first = agents[0];
  if (!first) return [];
  const head: TeamLine = { kind: "team", key: `t${first.teamId}`, team: first.team || "No team", size: agents.length };
  return [head, ...agents.map(agentLine)];
}
