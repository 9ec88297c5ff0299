"""How long the binlog still reaches back to a connector's position, at the least."""

from __future__ import annotations

import math

from connectors.binlog import StoredPosition, estimate, stored

FILES = ["binlog.000007", "binlog.000008"]
DAY, HOUR, NOW = 86_400, 3600, 1_000_000


def test_the_file_that_is_written_to_is_kept_from_now_on() -> None:
    assert estimate(FILES, StoredPosition("binlog.000008", NOW - 5 * DAY), kept=DAY, now=NOW) == 24


def test_an_older_file_is_retained_from_its_last_event_on() -> None:
    assert estimate(FILES, StoredPosition("binlog.000007", NOW - 6 * HOUR), kept=DAY, now=NOW) == 18


def test_a_file_that_is_overdue_or_gone_has_no_time_left() -> None:
    assert estimate(FILES, StoredPosition("binlog.000007", NOW - 2 * DAY), kept=DAY, now=NOW) == 0
    assert estimate(FILES, StoredPosition("binlog.000006", NOW), kept=DAY, now=NOW) == 0


def test_a_binlog_that_is_never_purged_reaches_for_ever() -> None:
    assert estimate(FILES, StoredPosition("binlog.000007", 0), kept=0, now=NOW) == math.inf


def test_the_position_is_what_kafka_holds() -> None:
    offset = {"ts_sec": 5, "file": "binlog.000007", "pos": 4}
    assert stored([{"partition": {"server": "main"}, "offset": offset}]) == StoredPosition("binlog.000007", 5)
    assert stored([]) is None
    assert stored([{"partition": {"server": "main"}, "offset": None}]) is None
