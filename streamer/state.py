"""What the result topics say as of now, by tenant: rows by key, each as new as its version; and the agents' activities of the last day."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from core.clock import Clock, system
from streamer.occupancy import Step
from streamer.tenant import ACTIVITIES, AGENTS, MINUTES, QUEUES, UTC, Row, Tenant, ms
from streamer.windows import Counts

TABLES = (AGENTS, QUEUES, MINUTES, ACTIVITIES)
KEPT = dt.timedelta(hours=26)
"""Of minutes and activities: the longest day that a change of clocks makes, and one more hour."""
GONE_MS = 3_600_000
"""For so long it is remembered how new the deletion of a row was, lest an older record that is read again brings it back."""
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Change:
    """A record of one of the topics. `row` is None where the key is gone; `committed_ms` is since 1970, 0 if not known."""

    table: str
    key: Key
    """The tenant first, then, of an agent's state or activity, the agent."""
    row: Row | None
    version: int
    committed_ms: int
    shard: str = ""
    """The source database of an activity."""


@dataclass(frozen=True)
class Sources:
    """Where tenants' changes come from: shard -> server, and the shards that are put aside."""

    servers: Mapping[str, str]
    aside: frozenset[str] = frozenset()


class State:
    """Not thread-safe: one loop owns it."""

    def __init__(self, clock: Clock = system) -> None:
        """A commit time from the future counts as its arrival by the clock."""
        self.tenants: dict[int, Tenant] = defaultdict(Tenant)
        self.newest_ms = 0
        """The newest commit of what has changed anything here, whoever's."""
        self._clock = clock
        self._sources = Sources({})
        self._versions: dict[tuple[str, Key], int] = {}
        self._gone: deque[tuple[int, tuple[str, Key], int]] = deque()

    def apply(self, change: Change) -> bool:
        """Whether it told anything new: what is as old as what is known, or older, changes nothing."""
        tenant, at = self.tenants[change.key[0]], min(change.committed_ms, self._now_ms())
        if change.table == ACTIVITIES:
            return _step(tenant, change, at)
        place = (change.table, change.key)
        if change.version <= self._versions.get(place, -1):
            return False
        self._versions[place] = change.version
        if change.row is None:
            self._gone.append((self._now_ms(), place, change.version))
        row = None if change.row is None else {**change.row, "committed_ms": at}
        if change.table == AGENTS:
            tenant.put_agent(change.key[1], row)
        elif change.table == QUEUES:
            tenant.put_queue(change.key[1], row)
        else:
            _count(tenant, change, at)
        self._told(tenant, change, at)
        return True

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _told(self, tenant: Tenant, change: Change, at: int) -> None:
        if change.table == MINUTES or not at:
            return
        self.newest_ms = max(self.newest_ms, at)
        tenant.freshness.told(change.table, at)
        if change.table == AGENTS and change.row is not None and tenant.agents[change.key[1]]["queues"]:
            tenant.freshness.owes(QUEUES, at)

    def data_at(self) -> dict[int, int]:
        """Tenant -> up to which commit its view is whole, in ms since 1970.

        A tenant with nothing new is as fresh as the freshest of its server: nothing has happened, and it is known that nothing
        has. One whose server is not known, or whose shard is put aside, is as fresh as its own newest change.
        """
        own = {number: tenant.freshness.whole_until for number, tenant in self.tenants.items()}
        servers = {number: self._server(tenant) for number, tenant in self.tenants.items()}
        best: dict[str, int] = {}
        for number, server in servers.items():
            if server is not None:
                best[server] = max(best.get(server, 0), own[number])
        return {
            number: own[number] if server is None else self.tenants[number].freshness.held(best[server])
            for number, server in servers.items()
        }

    def _server(self, tenant: Tenant) -> str | None:
        """None where it is not known, or of no use, as nothing comes from the shard."""
        if tenant.shards & self._sources.aside:
            return None
        found = {self._sources.servers.get(shard) for shard in tenant.shards}
        return found.pop() if len(found) == 1 else None

    def sources(self, sources: Sources) -> None:
        self._sources = sources

    def zones(self, zones: Mapping[int, str]) -> None:
        for tenant, name in zones.items():
            self.tenants[tenant].zone = zone_named(name)

    def settle(self) -> None:
        """What has changed so far need not be told: whoever watches is sent all of it."""
        for tenant in self.tenants.values():
            tenant.changed_agents, tenant.changed_queues = set(), set()

    def forget(self, now: dt.datetime) -> None:
        """Lets go of minutes and activities that no window reaches any more, and of deletions that nothing can undo any more."""
        for number, tenant in self.tenants.items():
            tenant.tracks.forget(ms(now - KEPT))
            for queue, windows in tenant.windows.items():
                for minute in windows.forget(now - KEPT):
                    self._versions.pop((MINUTES, (number, queue, minute)), None)
        while self._gone and self._gone[0][0] < ms(now) - GONE_MS:
            _, place, version = self._gone.popleft()
            if self._versions.get(place) == version:
                del self._versions[place]


def zone_named(name: str) -> ZoneInfo:
    """UTC for a name that is no zone: a tenant's typing error takes nobody's page away."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def _step(tenant: Tenant, change: Change, committed: int) -> bool:
    """An activity that claims to come from the future counts as of its commit. None is ever taken back."""
    if change.row is None:
        return False
    at = ms(change.row["occurred_at"])
    tenant.tracks.add(change.key[1], Step(min(at, committed or at), change.row["activity_id"], change.row["state"]))
    if change.shard:
        tenant.shards.add(change.shard)
    if committed:
        tenant.freshness.owes(AGENTS, committed)
    return True


def _count(tenant: Tenant, change: Change, at: int) -> None:
    _, queue, minute = change.key
    counts = None if change.row is None else Counts(*(int(change.row[name]) for name in Counts._fields))
    tenant.windows[queue].put(minute, counts, at)
    tenant.changed_queues.add(queue)
