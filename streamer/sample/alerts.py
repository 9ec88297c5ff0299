"""Alerts of two levels with hysteresis, evaluated periodically, as a wait grows long without any event.

An alert is raised at its threshold and cleared only when the value is better than it by `MARGIN`, so that a
value that oscillates around the threshold raises one alert.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from streamer.sample.tenant import Tenant

MARGIN = 0.1
VISIBLE_AFTER_CLEAR = dt.timedelta(minutes=5)
"""A cleared alert stays visible for this long."""
MIN_COUNTED = 5
"""A service level of fewer contacts is not evaluated."""
SERVICE_SPAN = "30m"
Level = Literal["warning", "critical"]


@dataclass(frozen=True)
class Rule:
    """Thresholds of both levels.

    `warning` is above `critical` for a metric of which lower values are worse.
    """

    warning: float
    critical: float

    @property
    def less_is_worse(self) -> bool:
        return self.warning > self.critical

    def threshold(self, level: Level) -> float:
        return self.warning if level == "warning" else self.critical

    def reached(self, value: float, level: Level, *, active: bool) -> bool:
        """Whether the value is at the level's threshold or worse; for an active alert, whether it is not
        better by the margin."""
        threshold = self.threshold(level)
        if self.less_is_worse:
            return value < threshold * (1 + MARGIN) if active else value <= threshold
        return value > threshold * (1 - MARGIN) if active else value >= threshold

    def level(self, value: float, active: Level | None) -> Level | None:
        if self.reached(value, "critical", active=active == "critical"):
            return "critical"
        return "warning" if self.reached(value, "warning", active=active is not None) else None


RULES = {
    "longest_wait": Rule(60, 180),
    "waiting": Rule(5, 10),
    "service_level": Rule(0.8, 0.6),
    "time_in_state": Rule(180, 300),
}
"""Seconds, contacts, a ratio over 30 minutes, and seconds of after-contact work."""


@dataclass(frozen=True)
class Subject:
    """A metric of a queue or of an agent; the other id is 0."""

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
    """The alerts of one tenant."""

    def __init__(self, tenant: int, rules: Mapping[str, Rule] = RULES, active: Iterable[Alert] = ()) -> None:
        """`active` are alerts that were raised earlier and are not cleared."""
        self._tenant = tenant
        self._rules = rules
        self._active = {alert.subject: alert for alert in active}
        self._cleared: dict[str, Alert] = {}

    @property
    def visible(self) -> list[Alert]:
        """The active alerts, and those cleared within `VISIBLE_AFTER_CLEAR`."""
        return [*self._active.values(), *self._cleared.values()]

    def evaluate(self, values: Mapping[Subject, float], now: dt.datetime) -> list[Alert]:
        """Returns the alerts that these values raise or clear. A subject without a value has no alert."""
        self._cleared = {
            key: alert
            for key, alert in self._cleared.items()
            if alert.cleared_at and alert.cleared_at > now - VISIBLE_AFTER_CLEAR
        }
        changed: list[Alert] = []
        for subject in values.keys() | self._active.keys():
            changed += self._evaluated(subject, values.get(subject), now)
        return changed

    def acknowledge(self, identity: str, name: str, now: dt.datetime) -> Alert | None:
        """Returns the acknowledged alert; None if no such alert is visible.

        The first acknowledgement is kept.
        """
        for subject, alert in self._active.items():
            if alert.id == identity:
                if not alert.acknowledged_by:
                    self._active[subject] = replace(alert, acknowledged_by=name, acknowledged_at=now)
                return self._active[subject]
        return self._cleared.get(identity)

    def _evaluated(self, subject: Subject, value: float | None, now: dt.datetime) -> Iterator[Alert]:
        before, rule = self._active.get(subject), self._rules[subject.metric]
        level = None if value is None else rule.level(value, None if before is None else before.level)
        if before is not None and before.level == level:
            return
        if before is not None:
            cleared = replace(self._active.pop(subject), cleared_at=now)
            self._cleared[cleared.id] = cleared
            yield cleared
        if level is not None and value is not None:
            self._active[subject] = Alert(
                self._identity(subject, level, now), subject, level, value, rule.threshold(level), now
            )
            yield self._active[subject]

    def _identity(self, subject: Subject, level: Level, now: dt.datetime) -> str:
        content = f"{self._tenant}/{subject}/{level}/{now.isoformat(timespec='seconds')}"
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def values(tenant: Tenant, now: dt.datetime) -> dict[Subject, float]:
    """Returns the values that the rules evaluate, as of `now`, in UTC."""
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
    return counts.service_level if counts.counted >= MIN_COUNTED else None
