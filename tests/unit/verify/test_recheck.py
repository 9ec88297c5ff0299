"""The recheck: what it takes for a difference to count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from schemas import privacy as p
from schemas import types as t
from schemas.render.checksum import Chunk, Scope
from schemas.table import Latest, Shards, Table, optional, required
from verify.bisect import Candidates, ComparisonPair, MismatchedChunk, Options, scan
from verify.recheck import RecheckResult, recheck
from verify.results import StoredRow
from verify.sources import Checksum, ClickHouseReader, MySqlReader, Rows, StoredRows

TABLE = Table(
    "t",
    Shards("*"),
    ("id",),
    Latest(),
    (required(1, "id", t.Int(64), p.PUBLIC), optional(2, "v", t.Text(), p.PUBLIC)),
)
SCOPE = Scope(TABLE, "s")
ALL = Chunk(0, 100)


@dataclass
class Side:
    """Stands for both servers' sides. `data` maps a key to (value, version)."""

    data: dict[int, tuple[str, int]] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)
    asked: int = 0

    def rows(self, _: Scope, chunks: Sequence[Chunk]) -> Rows:
        self.asked += sum(1 for key in self.data if any(chunk.low <= key < chunk.high for chunk in chunks))
        return {key: [row.values for row in rows] for key, rows in self.stored_rows(_, chunks).items()}

    def stored_rows(self, _: Scope, chunks: Sequence[Chunk]) -> StoredRows:
        return {
            str(key).encode(): [StoredRow((str(key).encode(), value.encode()), version)]
            for key, (value, version) in self.data.items()
            if any(chunk.low <= key < chunk.high for chunk in chunks)
        }

    def versions(self, _: Scope, __: Sequence[Chunk]) -> dict[bytes, int]:
        newest = {**self.last, **{key: version for key, (_, version) in self.data.items()}}
        return {str(key).encode(): version for key, version in newest.items()}

    def checksums(self, _: Scope, chunks: Sequence[Chunk]) -> list[Checksum]:
        def one(chunk: Chunk) -> Checksum:
            rows = [(key, value) for key, (value, _) in self.data.items() if chunk.low <= key < chunk.high]
            return len(rows), hash(tuple(sorted(rows))) if rows else 0

        return [one(chunk) for chunk in chunks]

    def bounds(self, _: Scope) -> tuple[int, int] | None:
        return (min(self.data), max(self.data)) if self.data else None

    def step(self, _: Scope, low: int, rows: int) -> int | None:
        keys = sorted(key for key in self.data if key >= low)
        return keys[rows] if len(keys) > rows else None


@dataclass
class Meanwhile:
    """A barrier during which something happens."""

    happens: Callable[[], None] = lambda: None
    reason: str = ""
    waits: int = 0

    def wait(self) -> str:
        self.waits += 1
        self.happens()
        return self.reason


def pair(source: Side, target: Side) -> ComparisonPair:
    return ComparisonPair(cast(MySqlReader, source), cast(ClickHouseReader, target), SCOPE)


def side(values: dict[int, str], version: int = 2) -> Side:
    return Side({key: (value, version) for key, value in values.items()})


def rechecked(
    source: Side,
    target: Side,
    barrier: Meanwhile,
    options: Options | None = None,
    chunk: Chunk = ALL,
    rows: int = 1,
) -> RecheckResult:
    """After all of `chunk`, of so many rows, was found to differ."""
    both, chosen = pair(source, target), options or Options()
    return recheck(both, Candidates(both, [MismatchedChunk(chunk, rows)], chosen), barrier, chosen)


def test_a_row_that_stays_different_differs() -> None:
    source, target, barrier = side({1: "new", 2: "b", 3: "c"}), side({1: "old", 2: "b", 4: "d"}), Meanwhile()
    result = rechecked(source, target, barrier)
    assert {dict(found.key)["id"]: found.kind for found in result.differences} == {
        "1": "differs",
        "3": "missing in ClickHouse",
        "4": "extra in ClickHouse",
    }
    assert (barrier.waits, result.unstable_rows, result.reason) == (1, 0, "")


def test_a_row_that_lands_during_the_wait_is_equal() -> None:
    source, target = side({1: "new"}), side({1: "old"})
    result = rechecked(source, target, Meanwhile(lambda: target.data.update({1: ("new", 4)})))
    assert (result.differences, result.unstable_rows) == ([], 0)


def test_a_row_that_changes_and_changes_back_is_never_called_different() -> None:
    """MySQL holds A in every round; ClickHouse is always seen in between, with B."""
    source, target = side({1: "A"}), side({1: "B"}, version=2)
    barrier = Meanwhile(lambda: target.data.update({1: ("B", target.data[1][1] + 2)}))
    result = rechecked(source, target, barrier, Options(rounds=3))
    assert (result.differences, result.unstable_rows, barrier.waits) == ([], 1, 3)


def test_a_row_beside_one_that_moves_is_called_different_once() -> None:
    source, target = side({1: "A", 2: "right"}), side({1: "B", 2: "wrong"})
    barrier = Meanwhile(lambda: target.data.update({1: ("B", target.data[1][1] + 2)}))
    result = rechecked(source, target, barrier, Options(rounds=3))
    assert ([dict(found.key)["id"] for found in result.differences], result.unstable_rows) == (["2"], 1)


def test_a_difference_that_is_gone_while_its_neighbour_changes_is_not_reported() -> None:
    source, target = side({1: "A", 2: "right"}), side({1: "B", 2: "wrong"})

    def landed() -> None:
        target.data[1] = ("B", target.data[1][1] + 2)
        if barrier.waits == 2:
            target.data[2] = ("right", 8)

    barrier = Meanwhile(landed)
    result = rechecked(source, target, barrier, Options(rounds=3))
    assert (result.differences, result.unstable_rows) == ([], 1)


def test_a_row_that_was_deleted_and_inserted_again_is_read_again() -> None:
    source, target = side({1: "A"}), Side(last={1: 2})

    def landed() -> None:
        target.last[1] = 6

    result = rechecked(source, target, Meanwhile(landed), Options(rounds=2))
    assert [found.kind for found in result.differences] == ["missing in ClickHouse"]


def test_without_a_marker_nothing_is_called_different() -> None:
    barrier = Meanwhile(reason="there is no connector")
    source, target = side(dict.fromkeys(range(150), "A")), side(dict.fromkeys(range(150), "B"))
    result = rechecked(
        source, target, barrier, Options(row_level_rows=100, detail_rows=10), Chunk(0, 200), rows=200
    )
    assert (result.differences, result.unresolved_ranges, result.reason) == ([], [], "there is no connector")
    assert result.unstable_rows > 0


def test_a_wide_range_counts_only_while_the_source_holds_still() -> None:
    source, target = side(dict.fromkeys(range(100), "A")), side({})
    options = Options(rounds=3, row_level_rows=1, detail_rows=1)
    changes = iter(range(10))
    unstable_ranges = Meanwhile(lambda: source.data.update({99: (str(next(changes)), 0)}))
    assert unresolved_ranges(rechecked(source, target, unstable_ranges, options, rows=100)) == (False, 1)
    assert unresolved_ranges(rechecked(source, target, Meanwhile(), options, rows=100)) == (True, 0)


def unresolved_ranges(result: RecheckResult) -> tuple[bool, int]:
    return any(chunk.low <= 99 < chunk.high for chunk in result.unresolved_ranges), result.unstable_ranges


def test_values_encoded_differently_are_equal_however_many_and_need_no_barrier() -> None:
    """The checksums differ, the values do not."""

    class EncodedDifferently(Side):
        def checksums(self, scope: Scope, chunks: Sequence[Chunk]) -> list[Checksum]:
            return [(rows, ~number) for rows, number in super().checksums(scope, chunks)]

    values, barrier = dict.fromkeys(range(1000), "v"), Meanwhile()
    result = rechecked(
        side(values),
        EncodedDifferently(side(values).data),
        barrier,
        Options(row_level_rows=10, detail_rows=50),
        Chunk(0, 1000),
        rows=1000,
    )
    assert (result, barrier.waits) == (RecheckResult(), 0)


def test_narrowing_fetches_few_rows_around_one_difference() -> None:
    source, target = side(dict.fromkeys(range(10000), "v")), side(dict.fromkeys(range(10000), "v"))
    target.data[5000] = ("w", 2)
    both = pair(source, target)
    options = Options(batch_rows=4000, chunk_rows=1000, row_level_rows=20)
    totals, mismatches = scan(both, options, lambda rows: None)
    assert (totals.rows_source, totals.rows_clickhouse, len(mismatches)) == (10_000, 10_000, 1)
    result = recheck(both, Candidates(both, mismatches, options), Meanwhile(), options)
    assert (len(result.differences), result.unresolved_ranges) == (1, [])
    assert source.asked <= 20


def test_what_is_too_much_to_list_stays_a_range() -> None:
    source, target = side(dict.fromkeys(range(1000), "v")), side({})
    result = rechecked(
        source, target, Meanwhile(), Options(row_level_rows=10, detail_rows=50), Chunk(0, 1000), rows=1000
    )
    listed = {int(dict(found.key)["id"] or 0) for found in result.differences}
    assert len(listed) >= 50
    assert all(
        number in listed or any(chunk.low <= number < chunk.high for chunk in result.unresolved_ranges)
        for number in range(1000)
    )
    assert result.unresolved_ranges


def test_differences_of_many_groups_are_all_listed() -> None:
    """More groups of chunks than one query reads: each is listed, none is left as a range."""
    source, target = side(dict.fromkeys(range(1000), "v")), side(dict.fromkeys(range(1000), "v"))
    target.data.update(dict.fromkeys(range(0, 1000, 10), ("w", 2)))
    result = rechecked(
        source, target, Meanwhile(), Options(row_level_rows=10, detail_rows=500), Chunk(0, 1000), rows=1000
    )
    assert (len(result.differences), result.unresolved_ranges) == (100, [])
