"""A queue's windows: sums of its minutes, and the rates of them. A rate without a denominator is None.

Service level = answered within the target / (answered + abandoned, less short abandons); ASA = delay / answered;
AHT = (talk + hold + after-contact work) / handled.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields
from zoneinfo import ZoneInfo

SPANS = {"15m": 15, "30m": 30, "60m": 60}
TREND = 60
MINUTE = dt.timedelta(minutes=1)


@dataclass(frozen=True)
class Counts:
    offered: int = 0
    answered: int = 0
    abandoned: int = 0
    short_abandons: int = 0
    answer_delay_ms: int = 0
    within_target: int = 0
    handled: int = 0
    handle_ms: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def counted(self) -> int:
        return self.answered + self.abandoned - self.short_abandons

    @property
    def service_level(self) -> float | None:
        return self.within_target / self.counted if self.counted > 0 else None

    @property
    def asa_seconds(self) -> float | None:
        return self.answer_delay_ms / 1000 / self.answered if self.answered else None

    @property
    def aht_seconds(self) -> float | None:
        return self.handle_ms / 1000 / self.handled if self.handled else None


Minutes = Mapping[dt.datetime, Counts]
"""By the minute's start, in UTC without a zone."""


def day_start(now: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """When the tenant's day began, in UTC. Where midnight does not exist, as clocks went forward then, at the first moment after."""
    local = now.replace(tzinfo=dt.UTC).astimezone(zone)
    return dt.datetime.combine(local.date(), dt.time(), zone).astimezone(dt.UTC).replace(tzinfo=None)


def starts(now: dt.datetime, zone: ZoneInfo) -> dict[str, dt.datetime]:
    """Each span's first minute; the minute that runs now is the last of each."""
    minute = now.replace(second=0, microsecond=0)
    return {name: minute - (length - 1) * MINUTE for name, length in SPANS.items()} | {"day": day_start(now, zone)}


def sums(minutes: Minutes, now: dt.datetime, zone: ZoneInfo) -> dict[str, Counts]:
    """What came from the future counts once its time has come."""
    totals = dict.fromkeys(("15m", "30m", "60m", "day"), Counts())
    begin = starts(now, zone)
    for minute, counts in minutes.items():
        if minute > now:
            continue
        for name, start in begin.items():
            if minute >= start:
                totals[name] += counts
    return totals


def trend(minutes: Minutes, now: dt.datetime) -> list[Counts]:
    """The last 60 minutes, oldest first."""
    minute = now.replace(second=0, microsecond=0)
    return [minutes.get(minute - back * MINUTE, Counts()) for back in range(TREND - 1, -1, -1)]
