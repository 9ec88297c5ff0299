"""Alerts of two levels, with hysteresis, evaluated as time passes: a wait grows long without any event.

An alert is raised at its threshold and cleared only once the value is back behind it by `MARGIN`, so that a value that
wavers about the threshold raises one alert and not many.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from streamer.tenant import Tenant

MARGIN = 0.1
KEPT = dt.timedelta(minutes=5)
"""A cleared alert is shown for so long."""
LEAST_COUNTED = 5
"""A service level of fewer contacts tells nothing."""
SERVICE_SPAN = "30m"
Level = Literal["warning", "critical"]


@dataclass(frozen=True)
class Rule:
    """`warning` is milder than `critical`; a metric of which less is worse has `warning` above `critical`."""

    warning: float
    critical: float

    @property
    def less_is_worse(self) -> bool:
        return self.warning > self.critical

    def threshold(self, level: Level) -> float:
        return self.warning if level == "warning" else self.critical

    def reached(self, value: float, level: Level, *, standing: bool) -> bool:
        """Whether the value is at the level's threshold or worse; a standing alert holds until it is better by the margin."""
        threshold = self.threshold(level)
        if self.less_is_worse:
            return value < threshold * (1 + MARGIN) if standing else value <= threshold
        return value > threshold * (1 - MARGIN) if standing else value >= threshold

    def level(self, value: float, standing: Level | None) -> Level | None:
        if self.reached(value, "critical", standing=standing == "critical"):
            return "critical"
        return "warning" if self.reached(value, "warning", standing=standing is not None) else None


RULES = {
    "longest_wait": Rule(60, 180),
    "waiting": Rule(5, 10),
    "service_level": Rule(0.8, 0.6),
    "time_in_state": Rule(180, 300),
}
"""Seconds, contacts, a ratio over 30 minutes, and seconds of after-contact work."""


@dataclass(frozen=True)
class Subject:
    """A queue's or an agent's metric; the other id is 0."""

    metric: str
    queue_id: int = 0
    agent_id: int = 0


@dataclass(frozen=True)
class Alert:
    id: str
    subject: Subject
    level: Level
    value: float
    threshold: float
    raised_at: dt.datetime
    cleared_at: dt.datetime | None = None
    acknowledged_by: str = ""
    acknowledged_at: dt.datetime | None = None


class Alerts:
    """Of one tenant."""

    def __init__(self, tenant: int, rules: Mapping[str, Rule] = RULES, standing: Iterable[Alert] = ()) -> None:
        """`standing` were raised before, and not cleared."""
        self._tenant = tenant
        self._rules = rules
        self._standing = {alert.subject: alert for alert in standing}
        self._cleared: dict[str, Alert] = {}

    @property
    def shown(self) -> list[Alert]:
        """What stands, and what was cleared a moment ago."""
        return [*self._standing.values(), *self._cleared.values()]

    def step(self, values: Mapping[Subject, float], now: dt.datetime) -> list[Alert]:
        """The alerts that this moment's values raise or clear. A subject without a value has nothing to alert of."""
        self._cleared = {key: alert for key, alert in self._cleared.items() if alert.cleared_at and alert.cleared_at > now - KEPT}
        changed: list[Alert] = []
        for subject in values.keys() | self._standing.keys():
            changed += self._judged(subject, values.get(subject), now)
        return changed

    def acknowledge(self, identity: str, name: str, now: dt.datetime) -> Alert | None:
        """None if no such alert is shown. Who was first to acknowledge it stays."""
        for subject, alert in self._standing.items():
            if alert.id == identity:
                if not alert.acknowledged_by:
                    self._standing[subject] = replace(alert, acknowledged_by=name, acknowledged_at=now)
                return self._standing[subject]
        return self._cleared.get(identity)

    def _judged(self, subject: Subject, value: float | None, now: dt.datetime) -> Iterator[Alert]:
        before, rule = self._standing.get(subject), self._rules[subject.metric]
        level = None if value is None else rule.level(value, None if before is None else before.level)
        if before is not None and before.level == level:
            return
        if before is not None:
            cleared = replace(self._standing.pop(subject), cleared_at=now)
            self._cleared[cleared.id] = cleared
            yield cleared
        if level is not None and value is not None:
            self._standing[subject] = Alert(self._identity(subject, level, now), subject, level, value, rule.threshold(level), now)
            yield self._standing[subject]

    def _identity(self, subject: Subject, level: Level, now: dt.datetime) -> str:
        told = f"{self._tenant}/{subject}/{level}/{now.isoformat(timespec='seconds')}"
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def values(tenant: Tenant, now: dt.datetime) -> dict[Subject, float]:
    """What the rules judge, as of `now`, in UTC."""
    found: dict[Subject, float] = {}
    for queue, row in tenant.queues.items():
        found[Subject("waiting", queue)] = row["waiting"]
        if row["oldest_waiting_since"] is not None:
            found[Subject("longest_wait", queue)] = (now - row["oldest_waiting_since"]).total_seconds()
        if (level := _service_level(tenant, queue, now)) is not None:
            found[Subject("service_level", queue)] = level
    for agent, row in tenant.agents.items():
        if row["state"] == "after-contact work" and row["since"] is not None:
            found[Subject("time_in_state", agent_id=agent)] = (now - row["since"]).total_seconds()
    return found


def _service_level(tenant: Tenant, queue: int, now: dt.datetime) -> float | None:
    windows = tenant.windows[queue]
    windows.move(tenant.frame(now))
    counts = windows.sums[SERVICE_SPAN]
    return counts.service_level if counts.counted >= LEAST_COUNTED else None
