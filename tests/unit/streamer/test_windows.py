"""Windows are sums of minutes as of a moment, and rates have their denominators."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from streamer.sample.windows import Counts, Windows, day_start, frame

BERLIN, UTC = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)
CLOCKS_CHANGE = (dt.datetime(2026, 3, 28, 22), dt.datetime(2026, 10, 24, 22), dt.datetime(2026, 11, 1, 4))
"""In Europe, and in America; each some hours before."""
moments = st.one_of(
    st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2026, 12, 31)), st.sampled_from(CLOCKS_CHANGE)
)
zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo"]
).map(ZoneInfo)
counts = st.builds(Counts, *(st.integers(0, 50) for _ in Counts._fields))
puts = st.tuples(st.just("put"), st.integers(-60, 1600), st.none() | counts)
"""A minute so many minutes back, or to come."""
moves = st.tuples(
    st.just("move"), st.sampled_from((1, 1, 1, 2, 20, 59, 700, 1500, -1, -90)), st.none() | zones
)
forgets = st.tuples(st.just("forget"), st.integers(1500, 1600), st.none())


def plain(minutes: dict[dt.datetime, Counts], now: dt.datetime, zone: ZoneInfo) -> dict[str, Counts]:
    """Minute by minute, out of the definition."""

    def total(wanted: list[dt.datetime]) -> Counts:
        return Counts(*(sum(getattr(minutes[minute], name) for minute in wanted) for name in Counts._fields))

    def local(moment: dt.datetime) -> dt.date:
        return moment.replace(tzinfo=dt.UTC).astimezone(zone).date()

    this, past = now.replace(second=0, microsecond=0), [minute for minute in minutes if minute <= now]
    spans = {
        f"{length}m": total([minute for minute in past if minute > this - length * MINUTE])
        for length in (15, 30, 60)
    }
    return spans | {"day": total([minute for minute in past if local(minute) == local(now)])}


@given(now=moments, zone=zones, steps=st.lists(puts | puts | moves | forgets, max_size=40))
def test_sums_that_are_moved_are_those_of_the_minutes(
    now: dt.datetime, zone: ZoneInfo, steps: list[tuple[str, int, object]]
) -> None:
    windows, minutes = Windows(), dict[dt.datetime, Counts]()
    kept_from = dt.datetime.min
    windows.move(frame(now, zone))
    for what, amount, more in steps:
        this = now.replace(second=0, microsecond=0)
        if what == "put" and this - amount * MINUTE >= kept_from:
            minutes.pop(this - amount * MINUTE, None)
            minutes |= {this - amount * MINUTE: more} if isinstance(more, Counts) else {}
        if what == "put":
            windows.put(this - amount * MINUTE, more if isinstance(more, Counts) else None, 1)
        elif what == "move":
            now, zone = now + amount * MINUTE, more if isinstance(more, ZoneInfo) else zone
            windows.move(frame(now, zone))
        else:
            kept_from = max(kept_from, this - amount * MINUTE)
            gone = windows.forget(kept_from)
            assert set(gone) == {minute for minute in minutes if minute < kept_from}
            minutes = {minute: found for minute, found in minutes.items() if minute >= kept_from}
        assert windows.sums == plain(minutes, now, zone)
        this = now.replace(second=0, microsecond=0)
        assert windows.trend() == [minutes.get(this - back * MINUTE, Counts()) for back in range(59, -1, -1)]


def test_a_day_has_the_hours_that_its_clocks_give_it() -> None:
    def hours(year: int, month: int, day: int) -> float:
        noon = dt.datetime(year, month, day, 12)
        return (day_start(noon + dt.timedelta(days=1), BERLIN) - day_start(noon, BERLIN)) / HOUR

    assert (hours(2026, 3, 28), hours(2026, 3, 29), hours(2026, 10, 25)) == (24, 23, 25)


def test_a_minute_that_turns_costs_what_leaves_and_comes() -> None:
    now = dt.datetime(2026, 11, 23, 23, 30)
    windows, asked = Windows(), list[int]()
    for back in range(26 * 60):
        windows.put(now - back * MINUTE, Counts(offered=1), 1)
    windows.move(frame(now, UTC))

    class Watched(dict[int, Counts]):
        def get(self, number: int) -> Counts | None:  # type: ignore[override]
            asked.append(number)
            return super().get(number)

    windows._minutes = Watched(windows._minutes)
    for turned in range(1, 60):  # midnight among them
        windows.move(frame(now + turned * MINUTE, UTC))
    assert len(asked) < 60 * 8


def test_rates_are_of_the_formulas_and_absent_without_a_denominator() -> None:
    some = Counts(
        offered=60,
        answered=50,
        abandoned=10,
        short_abandons=4,
        answer_delay_ms=600_000,
        within_target=42,
        handled=40,
        handle_ms=8_000_000,
    )
    assert (some.counted, some.service_level, some.asa_seconds, some.aht_seconds) == (56, 0.75, 12.0, 200.0)
    none = Counts(abandoned=3, short_abandons=3)
    assert (none.service_level, none.asa_seconds, none.aht_seconds) == (None, None, None)


def test_when_it_was_counted_last_is_known_as_long_as_there_is_anything() -> None:
    windows, minute = Windows(), dt.datetime(2026, 11, 23, 12)
    windows.put(minute, Counts(offered=1), 5_000)
    windows.put(minute - MINUTE, Counts(offered=1), 4_000)
    assert windows.counted_ms == 5_000
    windows.forget(minute + MINUTE)
    assert windows.counted_ms == 0
