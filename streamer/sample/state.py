"""The newest rows of the result topics, by tenant and key, and the agents' activities of the last day."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from core.clock import Clock, system
from streamer.sample.occupancy import StateChange
from streamer.sample.tenant import ACTIVITIES, AGENTS, MINUTES, QUEUES, UTC, Row, Tenant, ms
from streamer.sample.windows import Counts

TABLES = (AGENTS, QUEUES, MINUTES, ACTIVITIES)
RETENTION = dt.timedelta(hours=26)
"""How long minutes and activities are kept: the longest day, 25 hours, and one more."""
DELETION_MEMORY_MS = 3_600_000
"""How long a deletion's version is kept, so that an older record that is read again does not restore the row.
"""
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Change:
    """A record of one of the topics.

    `row` is None for a deletion; `committed_ms` is the commit time since the epoch, 0 if unknown.
    """

    table: str
    key: Key
    """The tenant first; then the agent, for an agent's state or activity."""
    row: Row | None
    version: int
    committed_ms: int
    shard: str = ""
    """The source database of an activity."""


@dataclass(frozen=True)
class Sources:
    """The sources of tenants: shard -> server, and the quarantined shards."""

    servers: Mapping[str, str]
    quarantined: frozenset[str] = frozenset()


class State:
    """Not thread-safe: used from one event loop."""

    def __init__(self, clock: Clock = system) -> None:
        """A commit time in the future is replaced by the time of arrival, by `clock`."""
        self.tenants: dict[int, Tenant] = defaultdict(Tenant)
        self.newest_ms = 0
        """The newest commit time of any applied change, in ms since the epoch."""
        self._clock = clock
        self._sources = Sources({})
        self._versions: dict[tuple[str, Key], int] = {}
        self._deletions: deque[tuple[int, tuple[str, Key], int]] = deque()

    def apply(self, change: Change) -> bool:
        """Applies the change unless it is not newer than the known row; returns whether it was applied."""
        tenant, at = self.tenants[change.key[0]], min(change.committed_ms, self._now_ms())
        if change.table == ACTIVITIES:
            return _apply_activity(tenant, change, at)
        row_key = (change.table, change.key)
        if change.version <= self._versions.get(row_key, -1):
            return False
        self._versions[row_key] = change.version
        if change.row is None:
            self._deletions.append((self._now_ms(), row_key, change.version))
        row = None if change.row is None else {**change.row, "committed_ms": at}
        if change.table == AGENTS:
            tenant.put_agent(change.key[1], row)
        elif change.table == QUEUES:
            tenant.put_queue(change.key[1], row)
        else:
            _apply_minute(tenant, change, at)
        self._record_commit(tenant, change, at)
        return True

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _record_commit(self, tenant: Tenant, change: Change, at: int) -> None:
        if change.table == MINUTES or not at:
            return
        self.newest_ms = max(self.newest_ms, at)
        tenant.freshness.commit_seen(change.table, at)
        if change.table == AGENTS and change.row is not None and tenant.agents[change.key[1]]["queues"]:
            tenant.freshness.expect(QUEUES, at)

    def data_at(self) -> dict[int, int]:
        """Returns tenant -> the commit time up to which its view is complete, in ms since the epoch.

        A tenant without recent changes is as fresh as the freshest tenant of its server, as its changes would
        have arrived too. One whose server is unknown, or whose shard is quarantined, is as fresh as its own
        newest change.
        """
        own = {number: tenant.freshness.complete_until for number, tenant in self.tenants.items()}
        servers = {number: self._server(tenant) for number, tenant in self.tenants.items()}
        best: dict[str, int] = {}
        for number, server in servers.items():
            if server is not None:
                best[server] = max(best.get(server, 0), own[number])
        return {
            number: own[number] if server is None else self.tenants[number].freshness.bounded(best[server])
            for number, server in servers.items()
        }

    def _server(self, tenant: Tenant) -> str | None:
        """None if it is unknown, or a shard of the tenant is quarantined."""
        if tenant.shards & self._sources.quarantined:
            return None
        found = {self._sources.servers.get(shard) for shard in tenant.shards}
        return found.pop() if len(found) == 1 else None

    def set_sources(self, sources: Sources) -> None:
        self._sources = sources

    def set_time_zones(self, zones: Mapping[int, str]) -> None:
        """Sets tenants' time zones by name; UTC for an unknown name."""
        for tenant, name in zones.items():
            self.tenants[tenant].zone = zone_named(name)

    def clear_changed(self) -> None:
        """Forgets which rows have changed, after they were sent to all subscribers."""
        for tenant in self.tenants.values():
            tenant.changed_agents, tenant.changed_queues = set(), set()

    def forget(self, now: dt.datetime) -> None:
        """Drops minutes and activities that are out of every window, and deletions older than
        `DELETION_MEMORY_MS`."""
        for number, tenant in self.tenants.items():
            tenant.timelines.forget(ms(now - RETENTION))
            for queue, windows in tenant.windows.items():
                for minute in windows.forget(now - RETENTION):
                    self._versions.pop((MINUTES, (number, queue, minute)), None)
        while self._deletions and self._deletions[0][0] < ms(now) - DELETION_MEMORY_MS:
            _, row_key, version = self._deletions.popleft()
            if self._versions.get(row_key) == version:
                del self._versions[row_key]


def zone_named(name: str) -> ZoneInfo:
    """Returns the zone; UTC for an unknown name, as one tenant's wrong setting must not end the streams of
    all."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def _apply_activity(tenant: Tenant, change: Change, committed: int) -> bool:
    """An activity in the future counts from its commit. Deletions are ignored."""
    if change.row is None:
        return False
    at = ms(change.row["occurred_at"])
    tenant.timelines.add(
        change.key[1], StateChange(min(at, committed or at), change.row["activity_id"], change.row["state"])
    )
    if change.shard:
        tenant.shards.add(change.shard)
    if committed:
        tenant.freshness.expect(AGENTS, committed)
    return True


def _apply_minute(tenant: Tenant, change: Change, at: int) -> None:
    _, queue, minute = change.key
    counts = None if change.row is None else Counts(*(int(change.row[name]) for name in Counts._fields))
    tenant.windows[queue].put(minute, counts, at)
    tenant.changed_queues.add(queue)
