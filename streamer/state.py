"""What the result topics say as of now, by tenant: rows by key, each as new as its version."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from streamer.windows import Counts, Minutes

AGENTS, QUEUES, MINUTES = "agent_status", "queue_stats", "queue_minutes"
TABLES = (AGENTS, QUEUES, MINUTES)
UTC = ZoneInfo("UTC")
KEPT = dt.timedelta(hours=26)
"""Of the minutes: the longest day that a change of clocks makes, and one more hour."""
Key = tuple[Any, ...]
Row = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """A record of a result topic. `row` is None where the key is gone; `committed_ms` is since 1970, 0 if not known."""

    table: str
    key: Key
    """The tenant first."""
    row: Row | None
    version: int
    committed_ms: int


@dataclass
class Tenant:
    agents: dict[int, Row] = field(default_factory=dict)
    queues: dict[int, Row] = field(default_factory=dict)
    minutes: dict[int, dict[dt.datetime, Counts]] = field(default_factory=lambda: defaultdict(dict))
    zone: ZoneInfo = UTC
    changed_agents: set[int] = field(default_factory=set)
    changed_queues: set[int] = field(default_factory=set)

    def counts(self, queue: int) -> Minutes:
        return self.minutes.get(queue, {})


class State:
    """Not thread-safe: one loop owns it."""

    def __init__(self) -> None:
        self.tenants: dict[int, Tenant] = defaultdict(Tenant)
        self.newest_ms = 0
        """The newest commit that has reached this process, whoever's."""
        self._versions: dict[tuple[str, Key], int] = {}

    def apply(self, change: Change) -> bool:
        """Whether it told anything new: what is as old as what is known, or older, changes nothing."""
        place = (change.table, change.key)
        self.newest_ms = max(self.newest_ms, change.committed_ms)
        if change.version <= self._versions.get(place, -1):
            return False
        self._versions[place] = change.version
        tenant = self.tenants[change.key[0]]
        if change.table == AGENTS:
            _put(tenant.agents, change)
            tenant.changed_agents.add(change.key[1])
        elif change.table == QUEUES:
            _put(tenant.queues, change)
            tenant.changed_queues.add(change.key[1])
        else:
            _count(tenant, change)
        return True

    def zones(self, zones: Mapping[int, str]) -> None:
        for tenant, name in zones.items():
            self.tenants[tenant].zone = zone_named(name)

    def forget(self, now: dt.datetime) -> None:
        """Lets go of minutes that no window reaches any more."""
        for number, tenant in self.tenants.items():
            for queue, minutes in tenant.minutes.items():
                for minute in [minute for minute in minutes if minute < now - KEPT]:
                    del minutes[minute]
                    self._versions.pop((MINUTES, (number, queue, minute)), None)


def zone_named(name: str) -> ZoneInfo:
    """UTC for a name that is no zone: a tenant's typing error takes nobody's page away."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def _put(rows: dict[int, Row], change: Change) -> None:
    if change.row is None:
        rows.pop(change.key[1], None)
    else:
        rows[change.key[1]] = {**change.row, "committed_ms": change.committed_ms}


def _count(tenant: Tenant, change: Change) -> None:
    _, queue, minute = change.key
    if change.row is None:
        tenant.minutes[queue].pop(minute, None)
    else:
        tenant.minutes[queue][minute] = Counts(**{name: int(change.row[name]) for name in Counts.__dataclass_fields__})
    tenant.changed_queues.add(queue)
