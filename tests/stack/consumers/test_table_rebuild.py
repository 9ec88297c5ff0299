"""A physical table follows its contract: renamed, widened, ordered otherwise, and nothing is lost on the
way."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from consumers import table_rebuild
from consumers.planner import ClickHousePlanner
from core.clients import clickhouse
from core.errors import RefusedError
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog
from schemas.render import clickhouse as render
from schemas.table import ClickHouse, Column, Latest, Shards, Table, immutable, optional
from switchboard.plan import plan as planning
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually

ROWS = 1000


class Kept:
    """One table of this test's own, in ClickHouse alone."""

    def __init__(self, pipeline: Pipeline, name: str) -> None:
        self.pipeline = pipeline
        self.table = Table(
            name=name,
            source=Shards("none_*"),
            key=("id",),
            history=Latest(),
            columns=(
                immutable(1, "id", t.Int(32), p.PUBLIC),
                immutable(2, "group id", t.Int(32), p.PUBLIC),
                optional(3, "note it", t.Text(), p.PUBLIC),
            ),
            clickhouse=ClickHouse(order_by=("group id",)),
        )

    def target(self, table: Table) -> ClickHousePlanner:
        return ClickHousePlanner(self.pipeline.endpoints, Catalog((table,)), self.pipeline.control)

    def plan(self, table: Table) -> list[tuple[str, str, bool]]:
        return [(step.action, step.summary, step.destructive) for step in self.target(table).plan()]

    def apply(self, table: Table, *allowed: str) -> None:
        planning.apply([self.target(table)], frozenset(allowed), lambda step: None)

    def fill(self) -> None:
        self.pipeline.clickhouse.command(
            f"INSERT INTO {render.storage_table(self.table)} (id, `group id`, `note it`, _shard, _version, "
            "_landed_at) "
            "SELECT number, number % 7, toString(number), if(number % 2, 'none_1', 'none_2'), number, "
            f"now64(3) FROM numbers({ROWS})"
        )

    def sums(self, columns: str) -> list[tuple[object, ...]]:
        return self.pipeline.landed(f"SELECT count(), {columns} FROM {render.current_view(self.table)}")


@pytest.fixture
def kept(pipeline: Pipeline, space: Space) -> Iterator[Kept]:
    changed = Kept(pipeline, space.name("rebuilt table"))
    changed.apply(changed.table)
    changed.fill()
    yield changed
    for name in (
        render.storage_table(changed.table),
        f"{render.STORAGE_DATABASE}.`{table_rebuild.scratch_name(changed.table)}`",
    ):
        pipeline.clickhouse.command(f"DROP TABLE IF EXISTS {name}")
    pipeline.clickhouse.command(f"DROP VIEW IF EXISTS {render.current_view(changed.table)}")


def with_columns(table: Table, *columns: Column) -> Table:
    return replace(table, columns=columns)


def test_a_renamed_column_keeps_its_values(kept: Kept) -> None:
    first, group, note = kept.table.columns
    renamed = with_columns(kept.table, first, group, replace(note, name="remark"))
    assert kept.plan(renamed) == [("change", "alter the table", False)]
    kept.apply(renamed)
    assert kept.sums("countIf(remark = toString(id))") == [(ROWS, ROWS)]
    assert kept.plan(renamed) == []


def test_a_dropped_column_goes_only_when_it_is_named(kept: Kept) -> None:
    first, group, _ = kept.table.columns
    without = with_columns(kept.table, first, group)
    assert kept.plan(without) == [("drop", "columns that the contract no longer has", True)]
    with pytest.raises(RefusedError, match="would lose data"):
        kept.apply(without)
    kept.apply(without, f"clickhouse:{kept.table.name}")
    assert kept.plan(without) == []


def test_a_wider_key_column_is_rebuilt_with_every_row(kept: Kept) -> None:
    first, group, note = kept.table.columns
    wider = with_columns(kept.table, replace(first, type=t.Int(64)), group, note)
    assert kept.plan(wider) == [("change", "rebuild: the sorting key cannot be altered in place", False)]
    kept.apply(wider)
    assert kept.sums("sum(id), toTypeName(any(id))") == [(ROWS, ROWS * (ROWS - 1) // 2, "Int64")]
    assert kept.plan(wider) == []


def test_a_rebuild_keeps_renamed_columns_and_those_that_no_contract_describes(kept: Kept) -> None:
    first, group, note = kept.table.columns
    kept.pipeline.clickhouse.command(
        f"ALTER TABLE {render.storage_table(kept.table)} ADD COLUMN beyond Nullable(Int64)"
    )
    kept.pipeline.clickhouse.command(
        f"ALTER TABLE {render.storage_table(kept.table)} UPDATE beyond = id + 1 WHERE 1 SETTINGS "
        "mutations_sync = 1"
    )
    other = with_columns(kept.table, replace(first, type=t.Int(64)), group, replace(note, name="remark"))
    kept.apply(other)
    assert kept.sums("countIf(remark = toString(id)), countIf(beyond = id + 1), toTypeName(any(id))") == [
        (ROWS, ROWS, ROWS, "Int64")
    ]
    assert kept.plan(other) == []


def test_an_insert_that_began_before_the_tables_were_exchanged_is_in_the_new_one(kept: Kept) -> None:
    first, group, note = kept.table.columns
    rows = render.storage_table(kept.table)
    slow = (
        f"INSERT INTO {rows} (id, `group id`, `note it`, _shard, _version, _landed_at) "
        f"SELECT {ROWS} + number, 0, '', 'none_1', 1, now64(3) FROM numbers(6) WHERE sleepEachRow(0.5) = 0 "
        "SETTINGS max_block_size = 1"
    )
    with ThreadPoolExecutor(1) as pool:
        inserted = pool.submit(clickhouse.connect(kept.pipeline.endpoints.clickhouse).command, slow)
        eventually(
            lambda: kept.pipeline.landed(
                "SELECT 1 FROM system.processes WHERE query LIKE '%sleepEachRow%' AND query_kind = 'Insert'"
            )
        )
        kept.apply(with_columns(kept.table, replace(first, type=t.Int(64)), group, note))
        inserted.result()
    assert kept.sums("max(id)") == [(ROWS + 6, ROWS + 5)]


def test_another_order_of_the_same_columns_loses_nothing_and_another_key_is_refused(kept: Kept) -> None:
    reordered = replace(kept.table, clickhouse=ClickHouse(order_by=("id", "group id")))
    assert [destructive for _, _, destructive in kept.plan(reordered)] == [False]
    kept.apply(reordered)
    assert kept.sums("sum(id)") == [(ROWS, ROWS * (ROWS - 1) // 2)]
    other = replace(kept.table, key=("group id",), clickhouse=ClickHouse())
    assert [destructive for _, _, destructive in kept.plan(other)] == [True]


@pytest.mark.parametrize("at", ["before the copy", "after the exchange"])
def test_a_rebuild_that_was_killed_is_finished_by_the_next(
    kept: Kept, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, group, note = kept.table.columns
    wider = with_columns(kept.table, replace(first, type=t.Int(64)), group, note)
    copy, copies = table_rebuild._copy, [0 if at == "before the copy" else 1]

    def killed(*arguments: object) -> None:
        if copies[0] == 0:
            raise KeyboardInterrupt
        copies[0] -= 1
        copy(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(table_rebuild, "_copy", killed)
    with pytest.raises(KeyboardInterrupt):
        kept.apply(wider)
    monkeypatch.setattr(table_rebuild, "_copy", copy)
    kept.fill()  # a lander goes on
    kept.apply(wider)
    assert kept.sums("sum(id), toTypeName(any(id))") == [(ROWS, ROWS * (ROWS - 1) // 2, "Int64")]
    assert kept.plan(wider) == []
