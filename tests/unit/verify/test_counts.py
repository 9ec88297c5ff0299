"""Counts are proof of their own: no table is called equal while they differ, whatever the rows' comparison
says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from schemas.render.checksum import Chunk, Scope
from tests.unit.verify.test_recheck import Meanwhile, Side, pair, side
from verify import engine as engines
from verify.bisect import ComparisonPair, Options, scan
from verify.engine import Engine
from verify.recheck import RecheckResult, recount
from verify.results import TableResult
from verify.sources import Checksum, StoredRows

OPTIONS = Options(rounds=2, batch_rows=40, chunk_rows=10)


@dataclass
class Hiding(Side):
    """Counts what its row-by-row reading does not show."""

    hidden: frozenset[int] = frozenset()

    def stored_rows(self, scope: Scope, chunks: Sequence[Chunk]) -> StoredRows:
        return {
            key: stored_rows
            for key, stored_rows in super().stored_rows(scope, chunks).items()
            if int(key) not in self.hidden
        }


@dataclass
class Between(Side):
    """Changes after each count."""

    changes: Callable[[], None] = field(default=lambda: None)

    def checksums(self, scope: Scope, chunks: Sequence[Chunk]) -> list[Checksum]:
        found = super().checksums(scope, chunks)
        self.changes()
        return found


def verified(both: ComparisonPair, barrier: Meanwhile, monkeypatch: pytest.MonkeyPatch) -> TableResult:
    monkeypatch.setattr(engines, "dead_letters", lambda *_: 0)
    engine = Engine(None, (), both.target, lambda *_: barrier, OPTIONS)  # type: ignore[arg-type]
    return engine._compared(both, lambda _: None)


def test_a_row_that_only_the_count_knows_is_not_called_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    values = dict.fromkeys(range(30), "v")
    target = Hiding(side({**values, 30: "v"}).data, hidden=frozenset({30}))
    result = verified(pair(side(values), target), Meanwhile(), monkeypatch)
    assert (result.answer, result.rows_source, result.rows_clickhouse) == ("inconclusive", 30, 31)
    assert "counts differ" in result.reason


def test_a_row_that_lands_late_is_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    values = dict.fromkeys(range(30), "v")
    target = side(dict.fromkeys(range(29), "v"))
    barrier = Meanwhile(lambda: target.data.update({29: ("v", 4)}))
    result = verified(pair(side(values), target), barrier, monkeypatch)
    assert (result.answer, result.rows_source, result.rows_clickhouse) == ("equal", 30, 30)


def test_a_source_that_grows_in_every_round_is_equal_if_the_copy_s_count_lies_between() -> None:
    source = Between(side(dict.fromkeys(range(5), "v")).data)
    source.changes = lambda: source.data.update({len(source.data): ("v", 2)})
    target = side(dict.fromkeys(range(3), "v"))
    both, barrier = pair(source, target), Meanwhile(lambda: target.data.update(source.data))
    totals, mismatches = scan(both, OPTIONS, lambda _: None)
    assert totals.rows_source != totals.rows_clickhouse
    rechecked = RecheckResult()
    totals = recount(both, totals, mismatches, barrier, OPTIONS, rechecked)
    assert (totals.rows_source, rechecked.reason, rechecked.count_mismatches) == (
        totals.rows_clickhouse,
        "",
        0,
    )


def test_without_a_marker_differing_counts_stay_open(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Hiding(side(dict.fromkeys(range(4), "v")).data, hidden=frozenset({3}))
    result = verified(
        pair(side(dict.fromkeys(range(3), "v")), target), Meanwhile(reason="no connector"), monkeypatch
    )
    assert (result.answer, "no connector" in result.reason) == ("inconclusive", True)
