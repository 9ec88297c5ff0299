"""A column that no contract describes comes while a lander runs, and meets each policy."""

from __future__ import annotations

import pytest

from consumers.clickhouse_writer import UnfitTableError
from consumers.dead_letters import read
from consumers.planner import ClickHousePlanner
from consumers.table_widener import TableWidener
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog
from schemas.render.clickhouse import create_storage_table, storage_table
from schemas.table import Latest, Shards, Table, immutable, optional
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually
from tests.stack.consumers.test_landing import landed_count


@pytest.fixture
def shard(pipeline: Pipeline, space: Space) -> str:
    name = space.name("policy")
    pipeline.sql(f"CREATE DATABASE {name}")
    return name


def altered(pipeline: Pipeline, shard: str, policy: str, column: str = "extra") -> str:
    """The table, once it has a row from before the column came, and one with it."""
    table = f"under_{policy}"
    pipeline.sql(f"CREATE TABLE {table} (id INT PRIMARY KEY, m INT)", database=shard)
    pipeline.sql(f"INSERT INTO {table} VALUES (1, 1)", database=shard)
    eventually(lambda: landed_count(pipeline, table, shard, 1))
    pipeline.sql(f"ALTER TABLE {table} ADD COLUMN `{column}` INT", database=shard)
    pipeline.sql(f"INSERT INTO {table} VALUES (2, 2, 2)", database=shard)
    return table


def columns(pipeline: Pipeline, table: str) -> list[str]:
    found = pipeline.landed(
        f"SELECT name FROM system.columns WHERE database = 'base' AND table = '{table}' ORDER BY position"
    )
    return [str(name) for (name,) in found if not name.startswith("_")]


def test_evolve_adds_the_column_and_widens_it_as_the_source_does(pipeline: Pipeline, shard: str) -> None:
    table = altered(pipeline, shard, "evolve")
    eventually(lambda: columns(pipeline, table) == ["id", "m", "extra"])
    pipeline.sql(f"ALTER TABLE {table} MODIFY extra BIGINT", database=shard)
    pipeline.sql(f"INSERT INTO {table} VALUES (3, 3, 5000000000)", database=shard)
    eventually(lambda: landed_count(pipeline, table, shard, 3))
    assert pipeline.landed(f"SELECT extra FROM base.{table} WHERE _shard = '{shard}' ORDER BY id") == [
        (None,),
        (2,),
        (5_000_000_000,),
    ]


def test_a_column_has_the_source_s_name_where_avro_cannot_spell_it(pipeline: Pipeline, shard: str) -> None:
    table = altered(pipeline, shard, "evolve", "2nd blood-type")
    eventually(lambda: "2nd blood-type" in columns(pipeline, table))
    eventually(lambda: landed_count(pipeline, table, shard, 2))
    values = f"SELECT `2nd blood-type` FROM base.{table} WHERE _shard = '{shard}' ORDER BY id"
    assert pipeline.landed(values) == [(None,), (2,)]
    assert "_2nd_blood_type" not in columns(pipeline, table)


def test_discard_value_lands_the_rest_of_the_row(pipeline: Pipeline, shard: str) -> None:
    table = altered(pipeline, shard, "discard_value")
    eventually(lambda: landed_count(pipeline, table, shard, 2))
    assert columns(pipeline, table) == ["id", "m"]
    assert pipeline.equal(table, shards=(shard,))


def test_discard_row_makes_it_a_dead_letter_and_goes_on(pipeline: Pipeline, shard: str) -> None:
    table = altered(pipeline, shard, "discard_row")
    (letter,) = eventually(lambda: list(read(pipeline.endpoints.kafka, f"cdc.{table}")))
    assert letter.reason == "column 'extra' is unknown and the contract's policy is discard_row"
    pipeline.sql(f"ALTER TABLE {table} DROP COLUMN extra", database=shard)
    pipeline.sql(f"INSERT INTO {table} VALUES (3, 3)", database=shard)
    eventually(lambda: landed_count(pipeline, table, shard, 2))
    assert pipeline.landed(f"SELECT id FROM base.{table} WHERE _shard = '{shard}' ORDER BY id") == [
        (1,),
        (3,),
    ]


def test_freeze_stops_this_table_alone(pipeline: Pipeline, shard: str) -> None:
    table = altered(pipeline, shard, "freeze")
    log = pipeline.home / "logs" / "lander.log"
    (line,) = eventually(
        lambda: [
            line for line in log.read_text().splitlines() if "table stopped" in line and f'"{table}"' in line
        ]
    )
    assert "brings column 'extra', which the contract does not describe" in line
    other = "under_discard_value"
    pipeline.sql(f"CREATE TABLE {other} (id INT PRIMARY KEY, m INT)", database=shard)
    pipeline.sql(f"INSERT INTO {other} VALUES (1, 1)", database=shard)
    eventually(lambda: landed_count(pipeline, other, shard, 1))
    assert landed_count(pipeline, table, shard, 1)


def test_a_table_that_apply_changes_while_a_column_is_added_is_unfit_for_a_moment(
    pipeline: Pipeline, space: Space
) -> None:
    """Its columns have other names than the lander's contract says, so that the view cannot be made."""
    described = (immutable(1, "id", t.Int(32), p.PUBLIC), optional(2, "m", t.Int(32), p.PUBLIC))
    name, source = space.name("changed"), Shards("changed_*")
    table = Table(name, source, ("id",), Latest(), described)
    landed = Table(name, source, ("id",), Latest(), (*described, optional(3, "extra", t.Int(32), p.PUBLIC)))
    pipeline.clickhouse.command(create_storage_table(table))
    pipeline.clickhouse.command(f"ALTER TABLE {storage_table(table)} RENAME COLUMN m TO n")
    with pytest.raises(UnfitTableError, match=f"table '{name}': .*`m`"):
        TableWidener(pipeline.endpoints.clickhouse, pipeline.control).widen(table, landed)


def test_a_lander_with_an_older_contract_hides_no_column_of_the_newer_one(
    pipeline: Pipeline, space: Space
) -> None:
    name, source = space.name("older"), Shards("older_*")
    identity, extra, more = (
        immutable(1, "id", t.Int(32), p.PUBLIC),
        optional(2, "extra", t.Int(32), p.PUBLIC),
        optional(3, "more", t.Int(32), p.PUBLIC),
    )
    older, newer, landed = (
        Table(name, source, ("id",), Latest(), (identity, *others))
        for others in ((), (extra,), (extra, more))
    )
    for contract in (older, newer):
        target = ClickHousePlanner(pipeline.endpoints, Catalog((contract,)), pipeline.control)
        for step in target.plan():
            target.apply(step)
    TableWidener(pipeline.endpoints.clickhouse, pipeline.control).widen(older, landed)
    assert columns(pipeline, name) == ["id", "extra", "more"]


def test_a_table_that_is_dropped_while_a_column_is_added_is_left_to_the_insert(
    pipeline: Pipeline, space: Space
) -> None:
    table = Table(
        space.name("dropped"),
        Shards("dropped_*"),
        ("id",),
        Latest(),
        (immutable(1, "id", t.Int(32), p.PUBLIC),),
    )
    TableWidener(pipeline.endpoints.clickhouse, pipeline.control)._recreate_view(pipeline.clickhouse, table)
    assert columns(pipeline, table.name) == []
