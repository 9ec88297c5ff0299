"""What a notification about a skipped change says to an operator."""

from __future__ import annotations

import pytest

from connectors.skipped_changes import SKIPPED, skipped_changes


def reason(kind: str, detail: str) -> str:
    data = {"database": "acc_1", "table": "calls", "detail": detail}
    (change,) = skipped_changes({"aggregate_type": "Table", "type": kind, "additional_data": data})
    assert (change.database, change.table) == ("acc_1", "calls")
    return change.reason.removeprefix(SKIPPED)


@pytest.mark.parametrize(
    ("kind", "detail", "expected"),
    [
        ("ROW", "no such\n  day", "a row cannot be read: no such day; correct the row, or leave"),
        ("STATEMENT", 'ALTER "calls" {x}', 'Debezium cannot process ALTER "calls" {x}; the definition'),
        ("DEFINITION", "two fields", "the definition cannot be read: two fields; alter the table"),
        ("UNKNOWN_TABLE", "", "it was created without the binlog; the definition was read from MySQL"),
        ("FROM_A_LATER_PLUGIN", "something", "something"),
    ],
)  # fmt: skip
def test_the_cause_and_the_remedy_are_in_one_line(kind: str, detail: str, expected: str) -> None:
    assert reason(kind, detail).startswith(expected)


def test_notifications_of_snapshots_report_nothing() -> None:
    assert list(skipped_changes({"aggregate_type": "Incremental Snapshot", "type": "STARTED"})) == []
    assert list(skipped_changes({})) == []
