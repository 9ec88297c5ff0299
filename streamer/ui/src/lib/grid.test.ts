import { expect, test } from "vitest";
import { agentFrom, moveFocus } from "./grid-keys";
import { countStates, gridLines, type GridQuery, pressColumn, SORT_COLUMNS } from "./grid-lines";
import type { Agent } from "./model";

const NAMES = new Map([[1, "Sales"], [2, "Service"]]);
const everything: GridQuery = { column: "name", descending: false, text: "", states: new Set(), queueId: null, grouped: false };

function agent(id: number, name: string, some: Partial<Agent> = {}): Agent {
  const nothing = { teamId: 0, team: "", state: "available", reason: "", since: null, contacts: [], contactTotal: 0, queueIds: [] };
  return { id, name, ...nothing, changedAt: null, occupancy: null, ...some };
}

const agents = [
  agent(1, "Ben 10", { teamId: 2, team: "West", state: "break", since: 1_000, queueIds: [1], occupancy: 0.5, contactTotal: 2, changedAt: 5 }),
  agent(2, "ada", { teamId: 1, team: "East", since: 3_000, queueIds: [1, 2], occupancy: 0.9, changedAt: 9 }),
  agent(3, "Ben 9", { teamId: 2, team: "West", state: "error", reason: "Headset", queueIds: [2] }),
];

function shown(query: Partial<GridQuery>): (number | string)[] {
  return gridLines(agents, { ...everything, ...query }, NAMES).map((line) => (line.kind === "agent" ? line.agent.id : `${line.team} ${line.size}`));
}

test.each<[GridQuery["column"], number[]]>([
  ["name", [2, 3, 1]],
  ["team", [2, 3, 1]],
  ["state", [3, 1, 2]],
  ["time", [3, 2, 1]],
  ["reason", [2, 1, 3]],
  ["contacts", [2, 3, 1]],
  ["queues", [1, 2, 3]],
  ["occupancy", [3, 1, 2]],
  ["age", [3, 2, 1]],
])("sorted by %s", (column, order) => {
  expect(shown({ column })).toEqual(order);
  expect(SORT_COLUMNS).toContain(column);
});

test("a column that is pressed again turns round, and ties stay in the order of names", () => {
  const order = pressColumn({ column: "team", descending: false }, "team");
  expect(shown(order)).toEqual([3, 1, 2]);
  expect(pressColumn(order, "name")).toEqual({ column: "name", descending: false });
});

test("every word has to be somewhere; states and queue narrow further", () => {
  expect(shown({ text: "west  HEAD" })).toEqual([3]);
  expect(shown({ text: "service" })).toEqual([2, 3]);
  expect(shown({ states: new Set(["break", "error"]), queueId: 1 })).toEqual([1]);
  expect([...countStates(agents).keys()]).toEqual(["error", "break", "available"]);
});

test("groups have a head each, by the teams' names", () => {
  expect(shown({ grouped: true })).toEqual(["East 1", 2, "West 2", 3, 1]);
});

test("keys move from agent to agent, over the heads of groups", () => {
  const lines = gridLines(agents, { ...everything, grouped: true }, NAMES);
  const move = (key: string, from: number) => moveFocus(key, from, lines, 2);
  expect([move("ArrowDown", 1), move("ArrowDown", 4), move("ArrowUp", 3), move("ArrowUp", 1)]).toEqual([3, 4, 1, 1]);
  expect([move("Home", 4), move("End", 1), move("PageDown", 1), move("PageUp", 4), move("x", 1)]).toEqual([1, 4, 3, 3, null]);
  expect(agentFrom([], 0, 1)).toBeNull();
});
