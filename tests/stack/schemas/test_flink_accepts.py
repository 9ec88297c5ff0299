"""The live Flink takes every contract's source, and reads from the topic what MySQL holds."""

from __future__ import annotations

import dataclasses

from schemas import privacy as p
from schemas import types as t
from schemas.render.flink import create_source, log_table, newest_view
from schemas.table import Table, optional
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually
from tests.stack.conftest import Whole
from tests.stack.consumers.test_landing import HIGH, LOW, landed_count, make_types
from tests.stack.consumers.test_zero_dates import FIELDS, ROWS, insert, make_old_dates

BOUNDED = {"scan.bounded.mode": "latest-offset"}
BATCH = {"execution.runtime-mode": "BATCH"}
EXPECTED = {
    "id": (1, 2),
    "tiny": (127, -128),
    "tiny_u": (255, 0),
    "medium_u": (16777215, 0),
    "plain_u": (4294967295, 0),
    "big": (9223372036854775807, -9223372036854775808),
    "big_u": (-1, 0),  # 18446744073709551615, wrapped
    "dec_small": ("999.99", "-999.99"),
    "double_": (1.7e308, -2.5e-308),
    "flag": (1, 0),
    "day": ("9999-12-31", "1000-01-01"),
    "clock6": (3020398999999, -1),
    "year_": (2155, 1901),
    "moment": ("9999-12-31 23:59:59.000", "1000-01-01 00:00:00.000"),
    "moment3": ("9999-12-31 23:59:59.999", "1969-12-31 23:59:59.999"),
    "moment6": (253402300799999999, -1),
    "stamp6": ("2038-01-19T03:14:07.999999Z", "1970-01-01T00:00:01.000001Z"),
    "choice": ("ü", "a"),
    "choices": ("x,z", ""),
    "bit1": (True, False),
    "bits": ("ff" * 8, "00" * 8),
    "fixed": (b"abc".ljust(8, b"\0").hex(), "00" * 8),
    "raw": ("00ff0000", ""),
    "letters": ("emoji 😀 ünï", ""),
    "defaulted": (1, -1),
    "not_sent_yet": (None, None),
}
"""Column -> its values in the two rows; `not_sent_yet` is in the contract and not in the record."""


def test_every_contract_s_source_is_accepted_and_can_be_planned(whole: Whole, pipeline: Pipeline) -> None:
    statements = [
        statement
        for table in pipeline.catalog.captured
        for statement in (
            create_source(table, whole.endpoints.kafka, whole.endpoints.registry),
            f"EXPLAIN SELECT * FROM {log_table(table)}",
        )
    ]
    assert len(whole.client.run(statements)) == len(statements)


def test_every_change_is_read_with_its_values(whole: Whole, pipeline: Pipeline, space: Space) -> None:
    shard = space.name("types")
    make_types(pipeline, shard)
    pipeline.sql(HIGH, 1, database=shard)
    pipeline.sql(LOW, 2, database=shard)
    pipeline.sql("INSERT INTO every_type (id) VALUES (3)", database=shard)
    pipeline.sql("UPDATE every_type SET tiny = 3 WHERE id = 3", database=shard)
    pipeline.sql("DELETE FROM every_type WHERE id = 3", database=shard)
    assert pipeline.equal("every_type", shards=(shard,))
    table = with_column(pipeline.catalog["every_type"], "not_sent_yet")
    wanted = ", ".join(map(shown, EXPECTED))
    from_shard = f"FROM {log_table(table)} WHERE `source`.`db` = '{shard}'"
    statements = [
        create_source(table, whole.endpoints.kafka, whole.endpoints.registry, BOUNDED),
        f"SELECT `op`, COUNT(*) {from_shard} GROUP BY `op`",
        f"SELECT {wanted} {from_shard} AND `after`.`id` < 3 ORDER BY `after`.`id`",
    ]
    _, counts, rows = whole.client.run(statements, BATCH)
    assert sorted(map(tuple, counts["rows"])) == [("c", 3), ("d", 1), ("u", 1)]
    assert dict(zip(EXPECTED, zip(*rows["rows"], strict=True), strict=True)) == EXPECTED


def test_jobs_read_zero_dates_as_the_contract_says(whole: Whole, pipeline: Pipeline, space: Space) -> None:
    shard = space.name("dates")
    make_old_dates(pipeline, shard)
    insert(pipeline, shard, ROWS)
    eventually(lambda: landed_count(pipeline, "old_dates", shard, len(ROWS)))
    table = pipeline.catalog["old_dates"]
    shown_columns = ", ".join(f"CAST(`{name}` AS STRING)" for name in ("since", *FIELDS))
    statements = [
        create_source(table, whole.endpoints.kafka, whole.endpoints.registry, BOUNDED),
        newest_view(table),
        f"SELECT `id`, {shown_columns} FROM `old_dates` WHERE `db` = '{shard}' AND `id` < 3",
    ]
    *_, rows = whole.client.run(statements, BATCH)
    found = {row[0]: tuple(row[1:]) for row in rows["rows"]}
    whole_seconds = "2024-02-29 23:59:59.000"
    assert found == {
        1: (
            "2024-02-29",
            "2024-02-29",
            whole_seconds,
            "2024-02-29 23:59:59.999",
            *[whole_seconds] * 2,
            "2024-02-29 23:59:59.290",
            "1901",
            "2024-02-29 00:00:00.500",
            None,
            "2155",
        ),
        2: ("1900-01-01", *[None] * 7, "1900-01-01 00:00:00.000", "1970-01-01 00:00:00.000", "0"),
    }


def shown(column: str) -> str:
    """Times as text: on their way to Python they go through a float, which rounds them."""
    return (
        f"CAST(`after`.`{column}` AS STRING)"
        if column.startswith("moment") and column != "moment6"
        else f"`after`.`{column}`"
    )


def with_column(table: Table, name: str) -> Table:
    column = optional(max(column.id for column in table.columns) + 1, name, t.Text(), p.UNCLASSIFIED)
    return dataclasses.replace(table, columns=(*table.columns, column))
