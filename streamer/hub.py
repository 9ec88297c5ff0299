"""One state fanned out to every watcher: what changed, merged by entity, the newest only.

Watchers of one tenant and the same teams share one message and its bytes. A watcher that is slow finds its next message
merged from all it missed, as large as the view at most; nobody waits for it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from core import metrics
from streamer import messages
from streamer.alerts import Alert, Alerts, values
from streamer.auth import Caller
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.state import Change, State, Tenant

FLUSH_SECONDS = 0.05
COHORTS = 20
"""Each watcher is sent a beat once in so many flushes, that part of them at each: a thousand at once would wait for each other."""
Group = tuple[int, frozenset[int] | None]


class Shared:
    """A message whose bytes are made once, however many watchers it goes to."""

    def __init__(self, message: pb.WatchResponse) -> None:
        self.message = message

    @cached_property
    def data(self) -> bytes:
        data: bytes = self.message.SerializeToString()
        return data


class Mailbox:
    """What one watcher has not taken yet."""

    def __init__(self, first: Shared, cohort: int = 0) -> None:
        self.cohort = cohort
        self._waiting: Shared | None = first
        self._filled = asyncio.Event()
        self._filled.set()
        self.closed = False

    def put(self, shared: Shared) -> None:
        metrics.WATCHER_UPDATES.inc()
        if self._waiting is None:
            self._waiting = shared
        else:
            metrics.WATCHER_MERGES.inc()
            self._waiting = Shared(merged(self._waiting.message, shared.message))
        self._filled.set()

    def close(self) -> None:
        self.closed = True
        self._filled.set()

    async def take(self, limit: float) -> Shared | None:
        """Waits for a message, `limit` seconds at most; None if none came, or the mailbox was closed."""
        try:
            await asyncio.wait_for(self._filled.wait(), limit)
        except TimeoutError:
            return None
        return self.pop()

    def pop(self) -> Shared | None:
        """What waits, at once."""
        self._filled.clear()
        taken, self._waiting = self._waiting, None
        return taken


def merged(older: pb.WatchResponse, newer: pb.WatchResponse) -> pb.WatchResponse:
    """Both in one: of each entity the newest."""
    if newer.snapshot:
        return newer
    both = pb.WatchResponse(sent_at=newer.sent_at, snapshot=older.snapshot)
    if newer.HasField("data_at"):
        both.data_at.CopyFrom(newer.data_at)
    elif older.HasField("data_at"):
        both.data_at.CopyFrom(older.data_at)
    agents = {item.agent_id: item for item in (*older.agents, *newer.agents)}
    queues = {item.queue_id: item for item in (*older.queues, *newer.queues)}
    alerts = {item.alert_id: item for item in (*older.alerts, *newer.alerts)}
    gone_agents = (set(older.removed_agent_ids) - {item.agent_id for item in newer.agents}) | set(newer.removed_agent_ids)
    gone_queues = (set(older.removed_queue_ids) - {item.queue_id for item in newer.queues}) | set(newer.removed_queue_ids)
    both.agents.extend(item for key, item in agents.items() if key not in gone_agents)
    both.queues.extend(item for key, item in queues.items() if key not in gone_queues)
    both.alerts.extend(alerts.values())
    both.removed_agent_ids.extend(sorted(gone_agents))
    both.removed_queue_ids.extend(sorted(gone_queues))
    return both


class Hub:
    """Owned by one loop."""

    def __init__(self, state: State, write: Callable[[int, list[Alert]], None] = lambda tenant, alerts: None) -> None:
        """`write` is told of each alert of a tenant as it changes."""
        self._state = state
        self._write = write
        self._watchers: dict[Group, set[Mailbox]] = defaultdict(set)
        self._shown: dict[Group, set[int]] = defaultdict(set)
        """The agents that a group's watchers may hold: of no other are they told that it is gone."""
        self._alerts: dict[int, Alerts] = {}
        self._changed_alerts: dict[int, list[Alert]] = defaultdict(list)
        self._joined = 0
        self._flushes = 0

    @property
    def watchers(self) -> int:
        return sum(map(len, self._watchers.values()))

    def take(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._state.apply(change)

    def show(self, state: State) -> None:
        """Another state from here on; every watcher is sent a snapshot of it."""
        self._state = state
        self._shown.clear()
        for group, mailboxes in self._watchers.items():
            shared = Shared(self._snapshot(group))
            for mailbox in mailboxes:
                mailbox.put(shared)

    def zones(self, zones: Mapping[int, str]) -> None:
        """As `State.zones`."""
        self._state.zones(zones)

    def join(self, caller: Caller) -> Mailbox:
        """The mailbox already holds a snapshot."""
        group = (caller.tenant, caller.teams)
        self._joined += 1
        mailbox = Mailbox(Shared(self._snapshot(group)), self._joined % COHORTS)
        self._watchers[group].add(mailbox)
        return mailbox

    def leave(self, caller: Caller, mailbox: Mailbox) -> None:
        group = (caller.tenant, caller.teams)
        self._watchers[group].discard(mailbox)
        if not self._watchers[group]:
            del self._watchers[group]
            self._shown.pop(group, None)

    def acknowledge(self, caller: Caller, identity: str) -> Alert | None:
        """None if the caller is shown no such alert. Every watcher of the tenant is told."""
        mine = self._alerts.get(caller.tenant)
        if mine is None or identity not in [alert.id for alert in mine.shown if self._concerns(alert, (caller.tenant, caller.teams))]:
            return None
        alert = mine.acknowledge(identity, caller.name, utc_now())
        if alert is not None:
            self._changed_alerts[caller.tenant].append(alert)
            self._write(caller.tenant, [alert])
        return alert

    def adopt(self, standing: Iterable[tuple[int, Alert]]) -> None:
        """The alerts (tenant, alert) that stood when a streamer ended, from before the first is judged."""
        by_tenant: dict[int, list[Alert]] = defaultdict(list)
        for tenant, alert in standing:
            by_tenant[tenant].append(alert)
        self._alerts = {tenant: Alerts(tenant, standing=alerts) for tenant, alerts in by_tenant.items()}

    def _concerns(self, alert: Alert, group: Group) -> bool:
        """A queue's alerts are the whole tenant's, an agent's are of who sees the agent."""
        tenant, agent = self._state.tenants[group[0]], alert.subject.agent_id
        return not agent or group[1] is None or (agent in tenant.agents and _seen(tenant, agent, group[1]))

    def sees(self, caller: Caller, agent: int) -> bool:
        tenant = self._state.tenants[caller.tenant]
        return agent in tenant.agents and _seen(tenant, agent, caller.teams)

    def close(self) -> None:
        for mailboxes in self._watchers.values():
            for mailbox in mailboxes:
                mailbox.close()

    async def run(self) -> None:
        """Sends on what changed twenty times a second, and every queue's windows each second, as time moves them too."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._flushes += 1
            if self._flushes % COHORTS == 0:
                self._state.forget(utc_now())
                self._measure(utc_now())
                metrics.WATCHERS.set(self.watchers)
                metrics.NEWEST_COMMIT.set(self._state.newest_ms / 1000)
                self._judge(utc_now())
            self._flush(self._flushes % COHORTS)

    def _measure(self, now: dt.datetime) -> None:
        for number in {group[0] for group in self._watchers}:
            self._state.tenants[number].measure(now)

    def _judge(self, now: dt.datetime) -> None:
        for number in self._alerts.keys() | self._state.tenants.keys():
            mine = self._alerts.setdefault(number, Alerts(number))
            changed = mine.step(values(self._state.tenants[number], now), now)
            if changed:
                self._changed_alerts[number] += changed
                self._write(number, changed)

    def _flush(self, cohort: int | None = None) -> None:
        """To everyone what changed; to the cohort the windows of every queue, too."""
        now = utc_now()
        for group, mailboxes in list(self._watchers.items()):
            tenant = self._state.tenants[group[0]]
            alerts = [messages.alert(alert) for alert in self._changed_alerts.get(group[0], []) if self._concerns(alert, group)]
            beaten = [mailbox for mailbox in mailboxes if mailbox.cohort == cohort]
            others = [mailbox for mailbox in mailboxes if mailbox.cohort != cohort]
            removed = self._removed(group, tenant)
            if beaten:
                self._send(beaten, self._message(group, tenant.changed_agents, set(tenant.queues), now), removed, alerts)
            if others and (tenant.changed_agents or tenant.changed_queues or alerts):
                self._send(others, self._message(group, tenant.changed_agents, tenant.changed_queues, now), removed, alerts)
            self._shown[group] -= removed
        for tenant in self._state.tenants.values():
            tenant.changed_agents, tenant.changed_queues = set(), set()
        self._changed_alerts.clear()

    def _removed(self, group: Group, tenant: Tenant) -> set[int]:
        """Agents whom the group's watchers hold, and must not any more."""
        shown = self._shown[group] & tenant.changed_agents
        return {agent for agent in shown if agent not in tenant.agents or not _seen(tenant, agent, group[1])}

    @staticmethod
    def _send(mailboxes: list[Mailbox], message: pb.WatchResponse, removed: set[int], alerts: list[pb.Alert]) -> None:
        message.removed_agent_ids.extend(removed)
        message.alerts.extend(alerts)
        shared = Shared(message)
        for mailbox in mailboxes:
            mailbox.put(shared)

    def _message(self, group: Group, agents: set[int], queues: set[int], now: dt.datetime) -> pb.WatchResponse:
        tenant, message, shown = self._state.tenants[group[0]], self._empty(now), self._shown[group]
        for identity in agents:
            if identity in tenant.agents and _seen(tenant, identity, group[1]):
                message.agents.append(messages.agent(tenant.agents[identity]))
                shown.add(identity)
        message.queues.extend(messages.queue(tenant.queues[identity], tenant, now) for identity in queues if identity in tenant.queues)
        message.removed_queue_ids.extend(identity for identity in tenant.changed_queues if identity not in tenant.queues)
        return message

    def _snapshot(self, group: Group) -> pb.WatchResponse:
        tenant, now = self._state.tenants[group[0]], utc_now()
        if not tenant.occupancies:
            tenant.measure(now)
        message = self._message(group, set(tenant.agents), set(tenant.queues), now)
        message.snapshot = True
        if group[0] in self._alerts:
            message.alerts.extend(messages.alert(alert) for alert in self._alerts[group[0]].shown if self._concerns(alert, group))
        return message

    def _empty(self, now: dt.datetime) -> pb.WatchResponse:
        message = pb.WatchResponse(sent_at=messages.moment(now))
        if (newest := messages.of_ms(self._state.newest_ms)) is not None:
            message.data_at.CopyFrom(newest)
        return message


def _seen(tenant: Tenant, agent: int, teams: frozenset[int] | None) -> bool:
    return teams is None or tenant.agents[agent]["team_id"] in teams


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)
