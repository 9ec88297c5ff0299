"""The recheck: what it takes for a difference to count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from schemas import privacy as p
from schemas import types as t
from schemas.render.checksum import Chunk, Scope
from schemas.table import Latest, Shards, Table, optional, required
from verify.narrow import Narrowing, Options, Pair, Suspect, first_look
from verify.results import Place
from verify.settle import Settled, settle
from verify.sides import Checksum, ClickHouseSide, MySqlSide, Places, Rows

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
        return {key: [place.values for place in places] for key, places in self.places(_, chunks).items()}

    def places(self, _: Scope, chunks: Sequence[Chunk]) -> Places:
        return {
            str(key).encode(): [Place((str(key).encode(), value.encode()), version)]
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


def settled_of(source: Side, target: Side, marker: Meanwhile, options: Options | None = None, chunk: Chunk = ALL, rows: int = 1) -> Settled:
    """After all of `chunk`, of so many rows, was found to differ."""
    both, chosen = pair(source, target), options or Options()
    return settle(both, Narrowing(both, [Suspect(chunk, rows)], chosen), marker, chosen)


def test_a_row_that_stays_different_differs() -> None:
    source, target, marker = side({1: "new", 2: "b", 3: "c"}), side({1: "old", 2: "b", 4: "d"}), Meanwhile()
    settled = settled_of(source, target, marker)
    assert {dict(found.key)["id"]: found.kind for found in settled.differences} == {
        "1": "differs",
        "3": "missing in ClickHouse",
        "4": "extra in ClickHouse",
    }
    assert (marker.waits, settled.moving, settled.reason) == (1, 0, "")


def test_a_row_that_lands_during_the_wait_is_equal() -> None:
    source, target = side({1: "new"}), side({1: "old"})
    settled = settled_of(source, target, Meanwhile(lambda: target.data.update({1: ("new", 4)})))
    assert (settled.differences, settled.moving) == ([], 0)


def test_a_row_that_changes_and_changes_back_is_never_called_different() -> None:
    """MySQL holds A at every look; ClickHouse is always seen in between, with B."""
    source, target = side({1: "A"}), side({1: "B"}, version=2)
    marker = Meanwhile(lambda: target.data.update({1: ("B", target.data[1][1] + 2)}))
    settled = settled_of(source, target, marker, Options(rounds=3))
    assert (settled.differences, settled.moving, marker.waits) == ([], 1, 3)


def test_a_row_beside_one_that_moves_is_called_different_once() -> None:
    source, target = side({1: "A", 2: "right"}), side({1: "B", 2: "wrong"})
    marker = Meanwhile(lambda: target.data.update({1: ("B", target.data[1][1] + 2)}))
    settled = settled_of(source, target, marker, Options(rounds=3))
    assert ([dict(found.key)["id"] for found in settled.differences], settled.moving) == (["2"], 1)


def test_a_difference_that_is_gone_while_its_neighbour_moves_is_not_told() -> None:
    source, target = side({1: "A", 2: "right"}), side({1: "B", 2: "wrong"})

    def landed() -> None:
        target.data[1] = ("B", target.data[1][1] + 2)
        if marker.waits == 2:
            target.data[2] = ("right", 8)

    marker = Meanwhile(landed)
    settled = settled_of(source, target, marker, Options(rounds=3))
    assert (settled.differences, settled.moving) == ([], 1)


def test_a_row_deleted_and_made_again_is_asked_once_more() -> None:
    source, target = side({1: "A"}), Side(last={1: 2})

    def landed() -> None:
        target.last[1] = 6

    settled = settled_of(source, target, Meanwhile(landed), Options(rounds=2))
    assert [found.kind for found in settled.differences] == ["missing in ClickHouse"]


def test_without_a_marker_nothing_is_called_different() -> None:
    marker = Meanwhile(reason="there is no connector")
    source, target = side(dict.fromkeys(range(150), "A")), side(dict.fromkeys(range(150), "B"))
    settled = settled_of(source, target, marker, Options(leaf_rows=100, detail_rows=10), Chunk(0, 200), rows=200)
    assert (settled.differences, settled.wide, settled.reason) == ([], [], "there is no connector")
    assert settled.moving > 0


def test_a_wide_range_counts_only_while_the_source_holds_still() -> None:
    source, target = side(dict.fromkeys(range(100), "A")), side({})
    options = Options(rounds=3, leaf_rows=1, detail_rows=1)
    changes = iter(range(10))
    restless = Meanwhile(lambda: source.data.update({99: (str(next(changes)), 0)}))
    assert wide(settled_of(source, target, restless, options, rows=100)) == (False, 1)
    assert wide(settled_of(source, target, Meanwhile(), options, rows=100)) == (True, 0)


def wide(settled: Settled) -> tuple[bool, int]:
    return any(chunk.low <= 99 < chunk.high for chunk in settled.wide), settled.restless


def test_what_is_only_spelled_otherwise_is_equal_however_much_it_is_and_waits_for_nothing() -> None:
    """The checksums differ, the values do not."""

    class Spelled(Side):
        def checksums(self, scope: Scope, chunks: Sequence[Chunk]) -> list[Checksum]:
            return [(rows, ~number) for rows, number in super().checksums(scope, chunks)]

    values, marker = dict.fromkeys(range(1000), "v"), Meanwhile()
    settled = settled_of(side(values), Spelled(side(values).data), marker, Options(leaf_rows=10, detail_rows=50), Chunk(0, 1000), rows=1000)
    assert (settled, marker.waits) == (Settled(), 0)


def test_narrowing_fetches_few_rows_around_one_difference() -> None:
    source, target = side(dict.fromkeys(range(10000), "v")), side(dict.fromkeys(range(10000), "v"))
    target.data[5000] = ("w", 2)
    both = pair(source, target)
    options = Options(pass_rows=4000, chunk_rows=1000, leaf_rows=20)
    totals, suspects = first_look(both, options, lambda rows: None)
    assert (totals.rows_source, totals.rows_clickhouse, len(suspects)) == (10_000, 10_000, 1)
    settled = settle(both, Narrowing(both, suspects, options), Meanwhile(), options)
    assert (len(settled.differences), settled.wide) == (1, [])
    assert source.asked <= 20


def test_what_is_too_much_to_list_stays_a_range() -> None:
    source, target = side(dict.fromkeys(range(1000), "v")), side({})
    settled = settled_of(source, target, Meanwhile(), Options(leaf_rows=10, detail_rows=50), Chunk(0, 1000), rows=1000)
    listed = {int(dict(found.key)["id"] or 0) for found in settled.differences}
    assert len(listed) >= 50
    assert all(number in listed or any(chunk.low <= number < chunk.high for chunk in settled.wide) for number in range(1000))
    assert settled.wide


def test_differences_of_many_groups_are_all_listed() -> None:
    """More groups of chunks than one query reads: each is listed, none is left as a range."""
    source, target = side(dict.fromkeys(range(1000), "v")), side(dict.fromkeys(range(1000), "v"))
    target.data.update(dict.fromkeys(range(0, 1000, 10), ("w", 2)))
    settled = settled_of(source, target, Meanwhile(), Options(leaf_rows=10, detail_rows=500), Chunk(0, 1000), rows=1000)
    assert (len(settled.differences), settled.wide) == (100, [])
