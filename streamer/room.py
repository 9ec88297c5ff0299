"""Who watches one tenant with the same teams: what they are shown, and the messages that keep it so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from streamer import messages
from streamer.alerts import Alert
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.mailbox import Mailbox, Parts, Shared
from streamer.tenant import Teams, Tenant
from streamer.view import View

COHORTS = 20
"""Each watcher is sent a beat once in so many flushes, that part of them at each: a thousand at once would wait for each other."""


@dataclass(frozen=True)
class Moment:
    """Now in UTC, and up to which commit the tenant's view is whole, in ms since 1970."""

    now: dt.datetime
    data_ms: int


class Room:
    def __init__(self, view: View, teams: Teams, moment: Callable[[], Moment], alerts: Callable[[], list[Alert]]) -> None:
        """`alerts` are those of the tenant that stand, and those that were cleared a moment ago."""
        self._teams = teams
        self._moment = moment
        self._alerts = alerts
        self._cohorts: tuple[set[Mailbox], ...] = tuple(set() for _ in range(COHORTS))
        self.show(view)

    def show(self, view: View) -> None:
        """Another view from here on; everyone is sent a snapshot of it."""
        self._view, self._tenant = view, view.tenant
        self._agents: set[int] = set()
        """Those that watchers may hold: of no other are they told that it is gone. The same for queues and standing alerts."""
        self._queues: set[int] = set()
        self._standing: dict[str, Alert] = {}
        self._in_snapshots: dict[str, Alert] = {}
        """Standing alerts that only those know who joined since the last flush."""
        self._snapshot: Shared | None = None
        self._send(self.mailboxes)

    @property
    def mailboxes(self) -> list[Mailbox]:
        return [mailbox for cohort in self._cohorts for mailbox in cohort]

    def join(self, number: int) -> Mailbox:
        """The mailbox already holds a snapshot."""
        mailbox = Mailbox(self.snapshot(), self._built, number % COHORTS)
        self._cohorts[mailbox.cohort].add(mailbox)
        return mailbox

    def leave(self, mailbox: Mailbox) -> None:
        self._cohorts[mailbox.cohort].discard(mailbox)

    def concerns(self, alert: Alert) -> bool:
        return concerns(self._tenant, alert, self._teams)

    def snapshot(self) -> Shared:
        """Made once between two flushes, however many come. What the others still hold is in it: the next flush tells how it went on."""
        if self._snapshot is None:
            tenant, teams = self._tenant, self._teams
            agents = {agent for agent in tenant.agents if tenant.sees_agent(agent, teams)}
            queues = {queue for queue in tenant.queues if tenant.sees_queue(queue, teams)}
            alerts = {alert.id: alert for alert in self._alerts() if alert.id in self._standing or self.concerns(alert)}
            self._in_snapshots |= {identity: alert for identity, alert in alerts.items() if alert.cleared_at is None}
            self._snapshot = self._made(Parts(agents, queues, alerts, snapshot=True))
        return self._snapshot

    def flush(self, cohort: int | None, changed: Sequence[Alert]) -> None:
        """To everyone what changed; to the cohort the windows of every queue, too, and the occupancies that moved."""
        self._snapshot = None
        tenant, teams = self._tenant, self._teams
        agents = {agent for agent in tenant.changed_agents if agent in self._agents or tenant.sees_agent(agent, teams)}
        queues = {queue for queue in tenant.changed_queues if queue in self._queues or tenant.sees_queue(queue, teams)}
        told = Parts(agents, queues, self._told(changed))
        beaten = () if cohort is None else self._cohorts[cohort]
        if beaten:
            turned = {agent for agent in tenant.turned_agents if tenant.sees_agent(agent, teams)}
            every = {queue for queue in tenant.queues if tenant.sees_queue(queue, teams)}
            self._send(beaten, Parts(agents | turned, queues | every, told.alerts))
        if told:
            self._send([mailbox for mailbox in self.mailboxes if mailbox not in beaten], told)
        self._agents -= {agent for agent in agents if not tenant.sees_agent(agent, teams)}
        self._queues -= {queue for queue in queues if not tenant.sees_queue(queue, teams)}

    def _told(self, changed: Sequence[Alert]) -> dict[str, Alert]:
        """Alerts that changed, that came into view with their subject, or that left with it: these are told as cleared."""
        tenant = self._tenant
        if not (changed or tenant.changed_agents or tenant.changed_queues):
            return {}
        standing = {alert.id: alert for alert in self._alerts() if alert.cleared_at is None and self.concerns(alert)}
        known = self._in_snapshots | self._standing
        told = {identity: alert for identity, alert in standing.items() if identity not in self._standing}
        told |= {alert.id: alert for alert in changed if alert.id in (standing if alert.cleared_at is None else known)}
        gone = {identity: alert for identity, alert in known.items() if identity not in standing and identity not in told}
        now = self._moment().now
        self._standing, self._in_snapshots = standing, {}
        return told | {identity: replace(alert, cleared_at=now) for identity, alert in gone.items()}

    def _send(self, mailboxes: Iterable[Mailbox], parts: Parts | None = None) -> None:
        """A snapshot if no parts are named."""
        there = list(mailboxes)
        if there:
            shared = self.snapshot() if parts is None else self._made(parts)
            for mailbox in there:
                mailbox.put(shared)

    def _built(self, parts: Parts) -> Shared:
        return self.snapshot() if parts.snapshot else self._made(parts)

    def _made(self, parts: Parts) -> Shared:
        """Of each entity what is true now: it is there, or it is gone."""
        tenant, teams, moment = self._tenant, self._teams, self._moment()
        agents = {agent for agent in parts.agents if tenant.sees_agent(agent, teams)}
        queues = {queue for queue in parts.queues if tenant.sees_queue(queue, teams)}
        self._agents |= agents
        self._queues |= queues
        head = pb.WatchResponse(
            sent_at=messages.moment(moment.now),
            data_at=messages.of_ms(moment.data_ms),
            snapshot=parts.snapshot,
            removed_agent_ids=sorted(parts.agents - agents),
            removed_queue_ids=sorted(parts.queues - queues),
            alerts=[messages.alert(alert) for alert in parts.alerts.values()],
        )
        told = [self._view.agent(agent) for agent in agents] + [self._view.queue(queue, moment.now) for queue in queues]
        return Shared(b"".join((head.SerializeToString(), *told)), parts)


def concerns(tenant: Tenant, alert: Alert, teams: Teams) -> bool:
    """An alert is for whoever sees its agent, or its queue."""
    subject = alert.subject
    if subject.agent_id:
        return tenant.sees_agent(subject.agent_id, teams)
    return tenant.sees_queue(subject.queue_id, teams)
