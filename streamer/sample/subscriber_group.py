"""The subscribers of one tenant with the same teams, and the messages that keep their view current."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.sample import messages
from streamer.sample.alerts import Alert
from streamer.sample.encoded_view import EncodedView
from streamer.sample.subscriber import EncodedMessage, MessageContents, Subscriber
from streamer.sample.tenant import Teams, Tenant

COHORTS = 20
"""Each subscriber receives a heartbeat once in this many flushes, a cohort at each flush: a thousand at once
would delay each other."""


@dataclass(frozen=True)
class Moment:
    """The time in UTC, and the commit up to which the tenant's view is complete, in ms since the epoch."""

    now: dt.datetime
    data_ms: int


class SubscriberGroup:
    def __init__(
        self, view: EncodedView, teams: Teams, moment: Callable[[], Moment], alerts: Callable[[], list[Alert]]
    ) -> None:
        """`alerts` returns the tenant's visible alerts."""
        self._teams = teams
        self._moment = moment
        self._alerts = alerts
        self._cohorts: tuple[set[Subscriber], ...] = tuple(set() for _ in range(COHORTS))
        self.replace_view(view)

    def replace_view(self, view: EncodedView) -> None:
        """Continues with another view, and sends a snapshot of it to every subscriber."""
        self._view, self._tenant = view, view.tenant
        self._agents: set[int] = set()
        """Agents that subscribers may have: only these are reported as removed. The same for queues and
        active alerts."""
        self._queues: set[int] = set()
        self._active: dict[str, Alert] = {}
        self._in_snapshots: dict[str, Alert] = {}
        """Active alerts that only subscribers who joined since the last flush have."""
        self._snapshot: EncodedMessage | None = None
        self._send(self.subscribers)

    @property
    def subscribers(self) -> list[Subscriber]:
        return [subscriber for cohort in self._cohorts for subscriber in cohort]

    def join(self, number: int) -> Subscriber:
        """Returns a new subscriber, whose first message is a snapshot; `number` determines its cohort."""
        subscriber = Subscriber(self.snapshot(), self._build, number % COHORTS)
        self._cohorts[subscriber.cohort].add(subscriber)
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        self._cohorts[subscriber.cohort].discard(subscriber)

    def concerns(self, alert: Alert) -> bool:
        return concerns(self._tenant, alert, self._teams)

    def snapshot(self) -> EncodedMessage:
        """Encoded once between two flushes, for all who join.

        It has whatever earlier subscribers have, as the next flush updates both.
        """
        if self._snapshot is None:
            tenant, teams = self._tenant, self._teams
            agents = {agent for agent in tenant.agents if tenant.sees_agent(agent, teams)}
            queues = {queue for queue in tenant.queues if tenant.sees_queue(queue, teams)}
            alerts = {
                alert.id: alert
                for alert in self._alerts()
                if alert.id in self._active or self.concerns(alert)
            }
            self._in_snapshots |= {
                identity: alert for identity, alert in alerts.items() if alert.cleared_at is None
            }
            self._snapshot = self._encode(MessageContents(agents, queues, alerts, snapshot=True))
        return self._snapshot

    def flush(self, cohort: int | None, changed: Sequence[Alert]) -> None:
        """Sends changes to every subscriber; to the cohort also the windows of every queue and the changed
        occupancies."""
        self._snapshot = None
        tenant, teams = self._tenant, self._teams
        agents = {
            agent
            for agent in tenant.changed_agents
            if agent in self._agents or tenant.sees_agent(agent, teams)
        }
        queues = {
            queue
            for queue in tenant.changed_queues
            if queue in self._queues or tenant.sees_queue(queue, teams)
        }
        changes = MessageContents(agents, queues, self._alert_changes(changed))
        heartbeat = () if cohort is None else self._cohorts[cohort]
        if heartbeat:
            occupancy_changed = {
                agent for agent in tenant.occupancy_changed_agents if tenant.sees_agent(agent, teams)
            }
            all_queues = {queue for queue in tenant.queues if tenant.sees_queue(queue, teams)}
            self._send(
                heartbeat, MessageContents(agents | occupancy_changed, queues | all_queues, changes.alerts)
            )
        if changes:
            self._send(
                [subscriber for subscriber in self.subscribers if subscriber not in heartbeat], changes
            )
        self._agents -= {agent for agent in agents if not tenant.sees_agent(agent, teams)}
        self._queues -= {queue for queue in queues if not tenant.sees_queue(queue, teams)}

    def _alert_changes(self, changed: Sequence[Alert]) -> dict[str, Alert]:
        """Returns alerts that changed, that became visible with their subject, or that ceased to be: the
        latter are sent as cleared."""
        tenant = self._tenant
        if not (changed or tenant.changed_agents or tenant.changed_queues):
            return {}
        active = {
            alert.id: alert for alert in self._alerts() if alert.cleared_at is None and self.concerns(alert)
        }
        known = self._in_snapshots | self._active
        changes = {identity: alert for identity, alert in active.items() if identity not in self._active}
        changes |= {
            alert.id: alert
            for alert in changed
            if alert.id in (active if alert.cleared_at is None else known)
        }
        gone = {
            identity: alert
            for identity, alert in known.items()
            if identity not in active and identity not in changes
        }
        now = self._moment().now
        self._active, self._in_snapshots = active, {}
        return changes | {identity: replace(alert, cleared_at=now) for identity, alert in gone.items()}

    def _send(self, subscribers: Iterable[Subscriber], contents: MessageContents | None = None) -> None:
        """Sends a snapshot if `contents` is None."""
        recipients = list(subscribers)
        if recipients:
            message = self.snapshot() if contents is None else self._encode(contents)
            for subscriber in recipients:
                subscriber.put(message)

    def _build(self, contents: MessageContents) -> EncodedMessage:
        return self.snapshot() if contents.snapshot else self._encode(contents)

    def _encode(self, contents: MessageContents) -> EncodedMessage:
        """Encodes the present state of each entity, or its removal."""
        tenant, teams, moment = self._tenant, self._teams, self._moment()
        agents = {agent for agent in contents.agents if tenant.sees_agent(agent, teams)}
        queues = {queue for queue in contents.queues if tenant.sees_queue(queue, teams)}
        self._agents |= agents
        self._queues |= queues
        head = pb.WatchResponse(
            sent_at=messages.moment(moment.now),
            data_at=messages.of_ms(moment.data_ms),
            snapshot=contents.snapshot,
            removed_agent_ids=sorted(contents.agents - agents),
            removed_queue_ids=sorted(contents.queues - queues),
            alerts=[messages.alert(alert) for alert in contents.alerts.values()],
        )
        changes = [self._view.agent(agent) for agent in agents] + [
            self._view.queue(queue, moment.now) for queue in queues
        ]
        return EncodedMessage(b"".join((head.SerializeToString(), *changes)), contents)


def concerns(tenant: Tenant, alert: Alert, teams: Teams) -> bool:
    """Whether the teams see the alert's agent or queue."""
    subject = alert.subject
    if subject.agent_id:
        return tenant.sees_agent(subject.agent_id, teams)
    return tenant.sees_queue(subject.queue_id, teams)
