"""What a repair requests: snapshots of missing and differing rows, deletes of exactly the unmatched stored
rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from connectors.snapshot_tracker import SnapshotTracker
from core.settings import Endpoints
from schemas import privacy as p
from schemas import types as t
from schemas.render.checksum import Scope, in_full
from schemas.table import immutable
from tests.unit.verify.test_compare import BY_DAY
from verify import repair as repairing
from verify.compare import key_differences
from verify.repair import KEYS_PER_SIGNAL, Observed, RepairRequest, repair
from verify.results import StoredRow, TableResult, Values
from verify.sources import MySqlReader

ENDPOINTS = cast(Endpoints, None)


@dataclass
class Asked:
    """Stands for the connectors' loads."""

    loads: list[tuple[str, Sequence[str], str | None]] = field(default_factory=list)

    def request(self, server: str, collections: Sequence[str], where: str | None = None) -> None:
        self.loads.append((server, collections, where))


@dataclass
class Source:
    """Stands for MySQL. `present` are texts of conditions that some row fulfils."""

    present: str = "never"
    server: Any = field(default_factory=lambda: SimpleNamespace(name="main"))

    def query(self, text: str) -> list[tuple[int]]:
        return [(1,)] if self.present in text else []


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Observed]:
    found: list[Observed] = []

    def send(_: Endpoints, __: Scope, rows: Iterable[Observed], ___: object) -> int:
        before = len(found)
        found.extend(rows)
        return len(found) - before

    monkeypatch.setattr(repairing, "_send", send)
    return found


def row(key: int, day: int, name: str = "Ann") -> Values:
    return (str(key).encode(), name.encode(), str(day).encode())


def result(
    *keys: tuple[list[Values], list[StoredRow]], unresolved_ranges: tuple[tuple[int, int], ...] = ()
) -> TableResult:
    differences = tuple(found for rows, stored in keys for found in key_differences(BY_DAY, rows, stored))
    return TableResult(BY_DAY.name, "acc_1", "different", 0, 0, 0, differences, unresolved_ranges)


def requested(asked: Asked, found: TableResult, source: Source | None = None) -> RepairRequest:
    return repair(
        ENDPOINTS, cast(SnapshotTracker, asked), cast(MySqlReader, source or Source()), BY_DAY, found
    )


def test_a_ghost_is_deleted_by_its_storage_key_and_version_and_nothing_is_loaded(
    sent: list[Observed],
) -> None:
    asked, ghost = Asked(), StoredRow(row(7, 0), 4)
    done = requested(asked, result(([row(7, 1)], [ghost, StoredRow(row(7, 1), 6)])))
    assert (sent, asked.loads, done) == ([(ghost.values, 4)], [], RepairRequest(0, 0, 1, ""))


def test_a_row_that_the_source_has_by_now_is_kept_and_reported(sent: list[Observed]) -> None:
    done = requested(
        Asked(),
        result(([row(7, 1)], [StoredRow(row(7, 0), 4), StoredRow(row(7, 1), 6)])),
        Source("FROM_DAYS(719528)"),
    )
    assert (sent, done.deleted, "1 extra rows" in done.kept) == ([], 0, True)


def test_missing_differing_and_wide_rows_are_asked_for_as_loads(sent: list[Observed]) -> None:
    asked = Asked()
    found = result(
        ([row(1, 1)], []),
        ([row(2, 1)], [StoredRow(row(2, 1, "Bob"), 4)]),
        ([], [StoredRow(row(3, 1), 8)]),
        unresolved_ranges=((10, 20),),
    )
    done = requested(asked, found)
    assert {(server, *collections) for server, collections, _ in asked.loads} == {("main", "acc_1.t")}
    ranges, keys = [where or "" for _, _, where in asked.loads]
    assert "10" in ranges
    assert ("= 1" in keys, "= 2" in keys, "= 3" in keys) == (True, True, False)
    assert (done.resent, done.ranges, [values for values, _ in sent]) == (2, 1, [row(3, 1)])


def test_many_keys_are_spread_over_loads(sent: list[Observed]) -> None:
    asked = Asked()
    requested(asked, result(*(([row(key, 1)], []) for key in range(KEYS_PER_SIGNAL + 1))))
    assert (len(asked.loads), sent) == (2, [])


def test_the_digest_of_a_long_value_is_not_the_value() -> None:
    column = immutable(1, "k", t.Text(), p.PUBLIC)
    assert [
        in_full(column, value) for value in (b"70000 bytes, SHA-256 " + b"0" * 64, b"70000 bytes", None)
    ] == [False, True, True]
