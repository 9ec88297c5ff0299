"""The windows of a queue: sums of its minutes, and rates of these. A rate without a denominator is None.

Service level = answered within the target / (answered + abandoned - short abandons); ASA = delay / answered;
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

from core.clock import EPOCH

SPANS = {"15m": 15, "30m": 30, "60m": 60}
DAY = "day"
TREND = 60
MINUTE = dt.timedelta(minutes=1)


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

    def minus(self, other: Counts) -> Counts:
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
    """The windows as of a minute, in UTC, which is the last minute of each; `begins` maps each window to its
    first."""

    minute: dt.datetime
    begins: Mapping[str, dt.datetime]


def day_start(now: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """Returns the start of the tenant's day, in UTC; if clocks skip midnight, the first moment after it."""
    local = now.replace(tzinfo=dt.UTC).astimezone(zone)
    return dt.datetime.combine(local.date(), dt.time(), zone).astimezone(dt.UTC).replace(tzinfo=None)


def frame(now: dt.datetime, zone: ZoneInfo) -> Frame:
    """Returns the frame of the minute: the same object throughout it."""
    return _frame(now.replace(second=0, microsecond=0), zone)


@lru_cache(maxsize=1024)
def _frame(minute: dt.datetime, zone: ZoneInfo) -> Frame:
    begins = {name: minute - (length - 1) * MINUTE for name, length in SPANS.items()}
    return Frame(minute, begins | {DAY: day_start(minute, zone)})


class Windows:
    """The minutes of a queue and the sums of its windows. The cost of a new minute is that of the minutes
    that enter and leave.

    A minute in the future counts once it is reached.
    """

    def __init__(self) -> None:
        self._minutes: dict[int, Counts] = {}
        """By number of the minute since the epoch."""
        self._ranges = dict.fromkeys((*SPANS, DAY), range(0))
        self._frame: Frame | None = None
        self._kept_from = 0
        self.sums = dict.fromkeys((*SPANS, DAY), NONE)
        """Span -> sum, as of the last `move`."""
        self.counted_ms = 0
        """The newest commit time of a minute's change, since the epoch; 0 before the first."""
        self.version = 0
        """Changes whenever the encoded windows would."""

    def put(self, minute: dt.datetime, counts: Counts | None, committed_ms: int) -> None:
        """Sets the counts of a minute; None removes them. Minutes that were forgotten are ignored."""
        number = _number(minute)
        if number >= self._kept_from:
            self.counted_ms = max(self.counted_ms, committed_ms)
            self._set(number, counts)

    def move(self, to: Frame) -> None:
        """Moves the windows to the frame."""
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
        """Removes older minutes and returns them."""
        first, self._kept_from = self._kept_from, _number(before)
        near = self._kept_from - first <= len(self._minutes)
        old = (
            range(first, self._kept_from)
            if near
            else [number for number in self._minutes if number < self._kept_from]
        )
        removed = [number for number in old if number in self._minutes]
        for number in removed:
            self._set(number, None)
        if not self._minutes:
            self.counted_ms = 0
        return [EPOCH + number * MINUTE for number in removed]

    def _set(self, number: int, counts: Counts | None) -> None:
        change = (counts or NONE).minus(self._minutes.pop(number, NONE))
        if counts is not None:
            self._minutes[number] = counts
        for name, covered in self._ranges.items():
            if number in covered:
                self.sums[name] = self.sums[name].plus(change)
        self.version += 1

    def _moved(self, total: Counts, before: range, after: range) -> Counts:
        """Updates the sum by the minutes that leave and enter, or sums again if that is less work."""
        if abs(after.start - before.start) + abs(after.stop - before.stop) >= len(after):
            return self._total(after)
        added = self._total(range(after.start, before.start)).plus(
            self._total(range(before.stop, after.stop))
        )
        removed = self._total(range(before.start, after.start)).plus(
            self._total(range(after.stop, before.stop))
        )
        return total.plus(added).minus(removed)

    def _total(self, numbers: Iterable[int]) -> Counts:
        found = [counts for number in numbers if (counts := self._minutes.get(number)) is not None]
        return Counts(*map(sum, zip(*found, strict=True))) if found else NONE


def _number(minute: dt.datetime) -> int:
    return (minute - EPOCH) // MINUTE
