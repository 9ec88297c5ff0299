"""The recheck: what it takes for a difference to count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from schemas import privacy as p
from schemas import types as t
from schemas.render.checksum import Chunk, Scope
from schemas.table import Latest, Shards, Table, optional, required
from verify.narrow import Doubts, Options, Pair, Suspect, first_look, narrow
from verify.settle import settle
from verify.sides import Checksum, ClickHouseSide, MySqlSide, Rows

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
        return {
            str(key).encode(): (str(key).encode(), value.encode())
            for key, (value, _) in self.data.items()
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
    """A marker during which something happens."""

    happens: Callable[[], None] = lambda: None
    reason: str = ""
    waits: int = 0

    def wait(self) -> str:
        self.waits += 1
        self.happens()
        return self.reason


def pair(source: Side, target: Side) -> Pair:
    return Pair(cast(MySqlSide, source), cast(ClickHouseSide, target), SCOPE)


def side(values: dict[int, str], version: int = 2) -> Side:
    return Side({key: (value, version) for key, value in values.items()})


def test_a_row_that_stays_different_differs() -> None:
    source, target, marker = side({1: "new", 2: "b", 3: "c"}), side({1: "old", 2: "b", 4: "d"}), Meanwhile()
    settled = settle(pair(source, target), Doubts([ALL]), marker, Options())
    assert {key: found.kind for key, found in settled.differences.items()} == {
        b"1": "differs",
        b"3": "missing in ClickHouse",
        b"4": "extra in ClickHouse",
    }
    assert (marker.waits, settled.moving, settled.reason) == (1, 0, "")


def test_a_row_that_lands_during_the_wait_is_equal() -> None:
    source, target = side({1: "new"}), side({1: "old"})
    settled = settle(pair(source, target), Doubts([ALL]), Meanwhile(lambda: target.data.update({1: ("new", 4)})), Options())
    assert (settled.differences, settled.moving) == ({}, 0)


def test_a_row_that_changes_and_changes_back_is_never_called_different() -> None:
    """MySQL holds A at every look; ClickHouse is always seen in between, with B."""
    source, target = side({1: "A"}), side({1: "B"}, version=2)
    marker = Meanwhile(lambda: target.data.update({1: ("B", target.data[1][1] + 2)}))
    settled = settle(pair(source, target), Doubts([ALL]), marker, Options(rounds=3))
    assert (settled.differences, settled.moving, marker.waits) == ({}, 1, 3)


def test_a_row_deleted_and_made_again_is_asked_once_more() -> None:
    source, target = side({1: "A"}), Side(last={1: 2})

    def landed() -> None:
        target.last[1] = 6

    settled = settle(pair(source, target), Doubts([ALL]), Meanwhile(landed), Options(rounds=2))
    assert [found.kind for found in settled.differences.values()] == ["missing in ClickHouse"]


def test_without_a_marker_nothing_is_called_different() -> None:
    marker = Meanwhile(reason="there is no connector")
    settled = settle(pair(side({1: "A"}), side({1: "B"})), Doubts([ALL], [Chunk(100, 200)]), marker, Options())
    assert (settled.differences, settled.moving, settled.reason) == ({}, 1, "there is no connector")


def test_a_wide_range_counts_only_while_the_source_holds_still() -> None:
    source, target = side({1: "A"}), side({})
    changes = iter(range(10))
    restless = Meanwhile(lambda: source.data.update({2: (str(next(changes)), 0)}))
    settled = settle(pair(source, target), Doubts([], [ALL]), restless, Options(rounds=3))
    assert (settled.wide, settled.restless) == ([], 1)
    settled = settle(pair(source, target), Doubts([], [ALL]), Meanwhile(), Options())
    assert (settled.wide, settled.restless) == ([ALL], 0)


def test_narrowing_fetches_few_rows_around_one_difference() -> None:
    source, target = side(dict.fromkeys(range(10000), "v")), side(dict.fromkeys(range(10000), "v"))
    target.data[5000] = ("w", 2)
    both = pair(source, target)
    options = Options(pass_rows=4000, chunk_rows=1000, leaf_rows=20)
    totals, suspects = first_look(both, options, lambda rows: None)
    assert (totals.rows_source, totals.rows_clickhouse, len(suspects)) == (10_000, 10_000, 1)
    doubts = narrow(both, suspects, options)
    settle(both, doubts, Meanwhile(), options)
    assert not doubts.wide
    assert source.asked <= 20


def test_what_is_too_much_to_list_stays_a_range() -> None:
    source, target = side(dict.fromkeys(range(1000), "v")), side({})
    doubts = narrow(pair(source, target), [Suspect(Chunk(0, 1000), 1000)], Options(leaf_rows=10, detail_rows=50))
    covered = sum(chunk.high - chunk.low for chunk in (*doubts.leaves, *doubts.wide))
    assert covered == 1000
    assert doubts.wide
