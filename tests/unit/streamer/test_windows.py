"""Windows are sums of minutes as of a moment, and rates have their denominators."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from streamer.windows import Counts, day_start, starts, sums, trend

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = dt.timedelta(minutes=1)
moments = st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2026, 12, 31))
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo"]).map(
    ZoneInfo
)
counts = st.builds(Counts, *(st.integers(0, 50) for _ in Counts.__dataclass_fields__))


@given(now=moments, zone=zones, found=st.dictionaries(st.integers(-60, 1600), counts, max_size=40))
def test_a_window_is_the_sum_of_its_minutes(now: dt.datetime, zone: ZoneInfo, found: dict[int, Counts]) -> None:
    minutes = {now.replace(second=0, microsecond=0) - back * MINUTE: value for back, value in found.items()}
    answers = sums(minutes, now, zone)
    for name, length in (("15m", 15), ("30m", 30), ("60m", 60)):
        assert answers[name].offered == sum(value.offered for back, value in found.items() if 0 <= back < length)
    local = now.replace(tzinfo=dt.UTC).astimezone(zone).date()
    today = [value for minute, value in minutes.items() if minute <= now and minute.replace(tzinfo=dt.UTC).astimezone(zone).date() == local]
    assert answers["day"].handle_ms == sum(value.handle_ms for value in today)


def test_a_day_has_the_hours_that_its_clocks_give_it() -> None:
    def hours(year: int, month: int, day: int) -> float:
        noon = dt.datetime(year, month, day, 12)
        return (day_start(noon + dt.timedelta(days=1), BERLIN) - day_start(noon, BERLIN)) / dt.timedelta(hours=1)

    assert (hours(2026, 3, 28), hours(2026, 3, 29), hours(2026, 10, 25)) == (24, 23, 25)


def test_rates_are_of_the_formulas_and_absent_without_a_denominator() -> None:
    some = Counts(
        offered=60, answered=50, abandoned=10, short_abandons=4, answer_delay_ms=600_000, within_target=42, handled=40, handle_ms=8_000_000
    )
    assert (some.counted, some.service_level, some.asa_seconds, some.aht_seconds) == (56, 0.75, 12.0, 200.0)
    none = Counts(abandoned=3, short_abandons=3)
    assert (none.service_level, none.asa_seconds, none.aht_seconds) == (None, None, None)


@given(now=moments)
def test_the_trend_ends_with_the_minute_that_runs(now: dt.datetime) -> None:
    minute = now.replace(second=0, microsecond=0)
    points = trend({minute: Counts(offered=1), minute - 59 * MINUTE: Counts(offered=2), minute - 60 * MINUTE: Counts(offered=3)}, now)
    assert (len(points), points[-1].offered, points[0].offered) == (60, 1, 2)
    assert starts(now, ZoneInfo("UTC"))["60m"] == minute - 59 * MINUTE
