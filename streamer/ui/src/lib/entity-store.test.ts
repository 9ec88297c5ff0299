import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { AgentSchema, AlertSchema, QueueSchema, WatchResponseSchema } from "../gen/switchboard/v1/live_pb";
import { CLEARED_ALERT_MS, EntityStore } from "./entity-store";

const agent = (agentId: number, state = "available") => create(AgentSchema, { agentId, state });
const queue = (queueId: number, name: string) => create(QueueSchema, { queueId, name });

test("a message changes what it tells of and nothing else", () => {
  const store = new EntityStore();
  store.apply(create(WatchResponseSchema, { snapshot: true, agents: [agent(1), agent(2)], queues: [queue(7, "Sales")] }));
  store.apply(create(WatchResponseSchema, { agents: [agent(2, "break")], removedAgentIds: [1] }));
  expect([...store.agents.values()].map(({ id, state }) => [id, state])).toEqual([[2, "break"]]);
  expect(store.queueNames()).toEqual(new Map([[7, "Sales"]]));
});

test("a snapshot replaces all that was held", () => {
  const store = new EntityStore();
  store.apply(create(WatchResponseSchema, { agents: [agent(1)], queues: [queue(7, "Sales")] }));
  store.apply(create(WatchResponseSchema, { snapshot: true, agents: [agent(3)] }));
  expect([...store.agents.keys()]).toEqual([3]);
  expect(store.queues.size).toBe(0);
});

test("queue names have a new version only where one has changed", () => {
  const store = new EntityStore();
  store.apply(create(WatchResponseSchema, { agents: [agent(1)], queues: [queue(7, "Sales")] }));
  const version = store.queueNamesVersion;
  store.apply(create(WatchResponseSchema, { queues: [queue(7, "Sales")] }));
  expect(store.queueNamesVersion).toBe(version);
  store.apply(create(WatchResponseSchema, { queues: [queue(7, "Service")] }));
  expect(store.queueNamesVersion).toBe(version + 1);
});

test("a cleared alert is forgotten once it has been seen for long enough", () => {
  const store = new EntityStore();
  const cleared = create(AlertSchema, { alertId: "a", clearedAt: { seconds: 100n, nanos: 0 } });
  store.apply(create(WatchResponseSchema, { alerts: [cleared, create(AlertSchema, { alertId: "b" })] }));
  expect(store.dropOldAlerts(100_000 + CLEARED_ALERT_MS)).toBe(false);
  expect(store.dropOldAlerts(100_001 + CLEARED_ALERT_MS)).toBe(true);
  expect([...store.alerts.keys()]).toEqual(["b"]);
});
