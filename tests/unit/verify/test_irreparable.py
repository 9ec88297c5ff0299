"""What is said of rows that a repair has left as they are."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.verify.test_compare import BY_DAY
from verify.compare import key_differences
from verify.irreparable import explain, is_unchanged
from verify.results import StoredRow, TableResult, Values


def row(key: int, name: str = "Ann") -> Values:
    return (str(key).encode(), name.encode(), b"1")


def result(*keys: tuple[list[Values], list[StoredRow]]) -> TableResult:
    differences = tuple(found for rows, stored in keys for found in key_differences(BY_DAY, rows, stored))
    return TableResult(BY_DAY.name, "acc_1", "different", 0, 0, 0, differences)


def test_rows_that_landed_again_are_unchanged_and_others_are_not() -> None:
    before = result(([row(1)], [StoredRow(row(1, "Bob"), 4)]))
    assert is_unchanged(before, result(([row(1)], [StoredRow(row(1, "Bob"), 8)])))
    assert not is_unchanged(before, result(([row(1)], [StoredRow(row(1, "Eve"), 8)])))
    assert not is_unchanged(before, result(([row(2)], [StoredRow(row(2, "Bob"), 4)])))
    assert not is_unchanged(before, replace(before, unresolved_ranges=((1, 9),)))


def test_each_kind_of_row_has_its_reason() -> None:
    before = result(
        ([row(1)], [StoredRow(row(1, "Bob"), 4)]),
        ([row(2)], [StoredRow(row(2, "Bob"), 4)]),
        ([row(3)], []),
        ([], [StoredRow(row(4), 4)]),
    )
    after = result(
        ([row(1)], [StoredRow(row(1, "Bob"), 8)]),
        ([row(2)], [StoredRow(row(2, "Bob"), 4)]),
        ([row(3)], []),
        ([], [StoredRow(row(4), 4)]),
    )
    assert explain(before, replace(after, unresolved_ranges=((1, 9),))).split("; ") == [
        "reading them again changes nothing: 1 row: landed again with the same values, as name is not "
        "captured as MySQL has it",
        "1 row: ClickHouse's version is newer than any record, so somebody else has written it: delete it "
        "there, and repair again",
        "1 row: missing after the landing",
        "`switchboard dlq list` shows rows that cannot land",
        "1 row: not deleted, as MySQL has the row by now, or a key value is too long for a lookup",
        "1 ranges of keys differ in too many rows to be compared",
    ]
