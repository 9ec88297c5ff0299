"""A queue's windows: sums of its minutes, and the rates of them. A rate without a denominator is None.

Service level = answered within the target / (answered + abandoned, less short abandons); ASA = delay / answered;
AHT = (talk + hold + after-contact work) / handled.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import add, sub
from typing import NamedTuple
from zoneinfo import ZoneInfo

SPANS = {"15m": 15, "30m": 30, "60m": 60}
DAY = "day"
TREND = 60
MINUTE = dt.timedelta(minutes=1)
EPOCH = dt.datetime(1970, 1, 1)


class Counts(NamedTuple):
    offered: int = 0
    answered: int = 0
    abandoned: int = 0
    short_abandons: int = 0
    answer_delay_ms: int = 0
    within_target: int = 0
    handled: int = 0
    handle_ms: int = 0

    def plus(self, other: Counts) -> Counts:
        return Counts(*map(add, self, other))

    def less(self, other: Counts) -> Counts:
        return Counts(*map(sub, self, other))

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


NONE = Counts()


@dataclass(frozen=True)
class Frame:
    """The windows as of a minute, all in UTC: it is the last of each. `begins` is each window's first."""

    minute: dt.datetime
    begins: Mapping[str, dt.datetime]


def day_start(now: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """When the tenant's day began, in UTC. Where midnight does not exist, as clocks went forward then, at the first moment after."""
    local = now.replace(tzinfo=dt.UTC).astimezone(zone)
    return dt.datetime.combine(local.date(), dt.time(), zone).astimezone(dt.UTC).replace(tzinfo=None)


def frame(now: dt.datetime, zone: ZoneInfo) -> Frame:
    """The same object throughout a minute."""
    return _frame(now.replace(second=0, microsecond=0), zone)


@lru_cache(maxsize=1024)
def _frame(minute: dt.datetime, zone: ZoneInfo) -> Frame:
    begins = {name: minute - (length - 1) * MINUTE for name, length in SPANS.items()}
    return Frame(minute, begins | {DAY: day_start(minute, zone)})


class Windows:
    """A queue's minutes, and the sums of its windows. A minute that turns costs what leaves and what comes, not the whole window.

    What came from the future counts once its time has come.
    """

    def __init__(self) -> None:
        self._minutes: dict[int, Counts] = {}
        """By number since 1970."""
        self._ranges = dict.fromkeys((*SPANS, DAY), range(0))
        self._frame: Frame | None = None
        self._kept_from = 0
        self.sums = dict.fromkeys((*SPANS, DAY), NONE)
        """By span, as of the frame that it was moved to last."""
        self.counted_ms = 0
        """When the newest change of a minute was committed, since 1970; 0 before the first."""
        self.version = 0
        """Another whenever anything else would be told."""

    def put(self, minute: dt.datetime, counts: Counts | None, committed_ms: int) -> None:
        """None takes the minute back. A minute that was let go of stays so."""
        number = _number(minute)
        if number >= self._kept_from:
            self.counted_ms = max(self.counted_ms, committed_ms)
            self._set(number, counts)

    def move(self, to: Frame) -> None:
        if to is self._frame:
            return
        self._frame, end = to, _number(to.minute) + 1
        for name, begin in to.begins.items():
            after = range(_number(begin), end)
            self.sums[name] = self._moved(self.sums[name], self._ranges[name], after)
            self._ranges[name] = after
        self.version += 1

    def trend(self) -> list[Counts]:
        """The last 60 minutes, oldest first."""
        end = self._ranges["60m"].stop
        return [self._minutes.get(number, NONE) for number in range(end - TREND, end)]

    def forget(self, before: dt.datetime) -> list[dt.datetime]:
        """Lets go of older minutes and returns them."""
        first, self._kept_from = self._kept_from, _number(before)
        near = self._kept_from - first <= len(self._minutes)
        old = range(first, self._kept_from) if near else [number for number in self._minutes if number < self._kept_from]
        gone = [number for number in old if number in self._minutes]
        for number in gone:
            self._set(number, None)
        if not self._minutes:
            self.counted_ms = 0
        return [EPOCH + number * MINUTE for number in gone]

    def _set(self, number: int, counts: Counts | None) -> None:
        change = (counts or NONE).less(self._minutes.pop(number, NONE))
        if counts is not None:
            self._minutes[number] = counts
        for name, covered in self._ranges.items():
            if number in covered:
                self.sums[name] = self.sums[name].plus(change)
        self.version += 1

    def _moved(self, total: Counts, before: range, after: range) -> Counts:
        """By what leaves and what comes, or anew where that is less."""
        if abs(after.start - before.start) + abs(after.stop - before.stop) >= len(after):
            return self._total(after)
        come = self._total(range(after.start, before.start)).plus(self._total(range(before.stop, after.stop)))
        gone = self._total(range(before.start, after.start)).plus(self._total(range(after.stop, before.stop)))
        return total.plus(come).less(gone)

    def _total(self, numbers: Iterable[int]) -> Counts:
        found = [counts for number in numbers if (counts := self._minutes.get(number)) is not None]
        return Counts(*map(sum, zip(*found, strict=True))) if found else NONE


def _number(minute: dt.datetime) -> int:
    return (minute - EPOCH) // MINUTE
