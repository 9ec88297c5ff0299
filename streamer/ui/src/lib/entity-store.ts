import type { Alert as AlertMessage, WatchResponse } from "../gen/switchboard/v1/live_pb";
import { type Agent, type Alert, type Queue, toAgent, toAlert, toQueue } from "./model";

/** How long a cleared alert stays in sight. */
export const CLEARED_ALERT_MS = 20_000;

/** All that the server has told, by id. Knows nothing of drawing. */
export class EntityStore {
  readonly agents = new Map<number, Agent>();
  readonly queues = new Map<number, Queue>();
  readonly alerts = new Map<string, Alert>();
  /** Moves whenever the set or a name of the queues does: what shows queue names need not look at each message. */
  queueNamesVersion = 0;

  apply(message: WatchResponse): void {
    if (message.snapshot) this.clear();
    for (const agent of message.agents) this.agents.set(agent.agentId, toAgent(agent));
    for (const queue of message.queues) this.setQueue(toQueue(queue));
    for (const alert of message.alerts) this.applyAlert(alert);
    for (const id of message.removedAgentIds) this.agents.delete(id);
    for (const id of message.removedQueueIds) this.removeQueue(id);
  }

  applyAlert(message: AlertMessage): void {
    const alert = toAlert(message);
    this.alerts.set(alert.id, alert);
  }

  /** Forgets alerts that were cleared long enough ago to have been seen; tells whether there were any. */
  dropOldAlerts(serverNow: number): boolean {
    const before = this.alerts.size;
    for (const [id, alert] of this.alerts) {
      if (alert.clearedAt !== null && serverNow - alert.clearedAt > CLEARED_ALERT_MS) this.alerts.delete(id);
    }
    return this.alerts.size !== before;
  }

  queueNames(): Map<number, string> {
    return new Map([...this.queues.values()].map((queue) => [queue.id, queue.name]));
  }

  clear(): void {
    this.agents.clear();
    this.queues.clear();
    this.alerts.clear();
    this.queueNamesVersion += 1;
  }

  private setQueue(queue: Queue): void {
    if (this.queues.get(queue.id)?.name !== queue.name) this.queueNamesVersion += 1;
    this.queues.set(queue.id, queue);
  }

  private removeQueue(id: number): void {
    if (this.queues.delete(id)) this.queueNamesVersion += 1;
  }
}
