"""What the result topics say as of now, by tenant: rows by key, each as new as its version; and the agents' activities of the last day."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from streamer.occupancy import Step, Tracks, occupancy
from streamer.windows import Counts, Minutes, starts

AGENTS, QUEUES, MINUTES, ACTIVITIES = "agent_status", "queue_stats", "queue_minutes", "agent_activity"
TABLES = (AGENTS, QUEUES, MINUTES, ACTIVITIES)
UTC = ZoneInfo("UTC")
EPOCH, MILLISECOND = dt.datetime(1970, 1, 1), dt.timedelta(milliseconds=1)
KEPT = dt.timedelta(hours=26)
"""Of minutes and activities: the longest day that a change of clocks makes, and one more hour."""
Key = tuple[Any, ...]
Row = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """A record of one of the topics. `row` is None where the key is gone; `committed_ms` is since 1970, 0 if not known."""

    table: str
    key: Key
    """The tenant first, then, of an agent's state or activity, the agent."""
    row: Row | None
    version: int
    committed_ms: int


@dataclass
class Tenant:
    agents: dict[int, Row] = field(default_factory=dict)
    queues: dict[int, Row] = field(default_factory=dict)
    minutes: dict[int, dict[dt.datetime, Counts]] = field(default_factory=lambda: defaultdict(dict))
    tracks: Tracks = field(default_factory=Tracks)
    occupancies: dict[int, dict[str, float | None]] = field(default_factory=dict)
    """Queue -> span -> occupancy, as `measure` found them last."""
    zone: ZoneInfo = UTC
    changed_agents: set[int] = field(default_factory=set)
    changed_queues: set[int] = field(default_factory=set)

    def counts(self, queue: int) -> Minutes:
        return self.minutes.get(queue, {})

    def measure(self, now: dt.datetime) -> None:
        """Computes every queue's occupancies as of now, in UTC; a microsecond or two for each agent and window."""
        begins = starts(now, self.zone)
        spent = self.tracks.spent(self.agents, [_ms(begin) for begin in begins.values()], _ms(now))
        members: dict[int, list[int]] = defaultdict(list)
        for agent in spent:
            for queue in self.agents[agent]["queues"]:
                members[queue].append(agent)
        self.occupancies = {
            queue: {span: occupancy(spent[agent][place] for agent in agents) for place, span in enumerate(begins)}
            for queue, agents in members.items()
        }


class State:
    """Not thread-safe: one loop owns it."""

    def __init__(self) -> None:
        self.tenants: dict[int, Tenant] = defaultdict(Tenant)
        self.newest_ms = 0
        """The newest commit that has reached this process, whoever's."""
        self._versions: dict[tuple[str, Key], int] = {}

    def apply(self, change: Change) -> bool:
        """Whether it told anything new: what is as old as what is known, or older, changes nothing."""
        if change.table == ACTIVITIES:
            return _step(self.tenants[change.key[0]], change)
        place = (change.table, change.key)
        self.newest_ms = max(self.newest_ms, change.committed_ms)
        if change.version <= self._versions.get(place, -1):
            return False
        self._versions[place] = change.version
        tenant = self.tenants[change.key[0]]
        if change.table == AGENTS:
            _put(tenant.agents, change)
            if change.row is not None:
                tenant.agents[change.key[1]]["queues"] = sorted(json.loads(change.row["queues"]))
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
        """Lets go of minutes and activities that no window reaches any more."""
        for number, tenant in self.tenants.items():
            tenant.tracks.forget(_ms(now - KEPT))
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


def _step(tenant: Tenant, change: Change) -> bool:
    """An activity that claims to come from the future counts as of its commit. None is ever taken back."""
    if change.row is None:
        return False
    at = _ms(change.row["occurred_at"])
    tenant.tracks.add(change.key[1], Step(min(at, change.committed_ms or at), change.row["activity_id"], change.row["state"]))
    return True


def _ms(moment: dt.datetime) -> int:
    return (moment - EPOCH) // MILLISECOND


def _count(tenant: Tenant, change: Change) -> None:
    _, queue, minute = change.key
    if change.row is None:
        tenant.minutes[queue].pop(minute, None)
    else:
        tenant.minutes[queue][minute] = Counts(**{name: int(change.row[name]) for name in Counts.__dataclass_fields__})
    tenant.changed_queues.add(queue)
