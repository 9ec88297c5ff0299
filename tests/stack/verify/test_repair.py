"""Rows that were lost, changed or added behind the platform are found, and repaired row by row."""

from __future__ import annotations

import json
from collections.abc import Callable

from connectors.snapshot_tracker import SnapshotTracker
from schemas.render.clickhouse import storage_table
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually
from tests.stack.consumers.test_landing import interaction, landed_count, make_shard
from verify.repair_loop import repair_until_equal
from verify.results import TableResult


def tamper(pipeline: Pipeline, shard: str, identity: int, replacing: str) -> None:
    """Writes a row that no change topic brought: a copy of row `identity` with some columns replaced."""
    table = storage_table(pipeline.catalog["interactions"])
    row = f"SELECT * FROM {table} FINAL WHERE _shard = '{shard}' AND interaction_id = {identity}"
    pipeline.clickhouse.command(f"INSERT INTO {table} SELECT * REPLACE ({replacing}) FROM ({row})")


def only(pipeline: Pipeline, shard: str) -> TableResult:
    (found,) = pipeline.decided("interactions", shards=(shard,))
    return found


def repair(
    pipeline: Pipeline, found: TableResult, report: Callable[[str], object] = lambda _: None
) -> TableResult:
    tracker, group = SnapshotTracker(pipeline.endpoints, pipeline.control), pipeline.settings.landing.group
    return repair_until_equal(
        pipeline.endpoints, tracker, group, pipeline.catalog["interactions"], found, 60, report
    )


def test_missing_extra_and_differing_rows_are_found_and_repaired(pipeline: Pipeline, space: Space) -> None:
    shard = space.name("acc")
    make_shard(pipeline, shard)
    for identity in range(1, 51):
        interaction(pipeline, shard, identity)
    eventually(lambda: landed_count(pipeline, "interactions", shard, 50))
    tamper(pipeline, shard, 1, "_version + 1 AS _version, 1 AS _deleted")
    tamper(pipeline, shard, 2, "_version + 1 AS _version, 99.5 AS cost")
    tamper(pipeline, shard, 3, "1000 AS interaction_id")
    tamper(pipeline, shard, 4, "started_at + INTERVAL 1 DAY AS started_at")
    report = json.loads(pipeline.command("verify", "interactions", "--json", "--show", "2").stdout)
    (shown,) = [result for result in report["shards"] if result["shard"] == shard]
    assert (report["answer"], shown["answer"], shown["differing_rows"], len(shown["differences"])) == (
        "different",
        "different",
        4,
        2,
    )
    found = only(pipeline, shard)
    assert found.answer == "different"
    assert {(row.kind, row.key[0][1]) for row in found.differences} == {
        ("missing in ClickHouse", "1"),
        ("differs", "2"),
        ("extra in ClickHouse", "1000"),
        ("extra in ClickHouse", "4"),
    }
    assert [column.name for row in found.differences for column in row.columns if row.kind == "differs"] == [
        "cost"
    ]
    repaired = repair(pipeline, found)
    assert repaired.answer == "equal", repaired
    assert landed_count(pipeline, "interactions", shard, 50)


def test_a_repair_that_changes_nothing_ends_and_says_why(pipeline: Pipeline, space: Space) -> None:
    shard = space.name("acc")
    make_shard(pipeline, shard)
    for identity in (1, 2):
        interaction(pipeline, shard, identity)
    eventually(lambda: landed_count(pipeline, "interactions", shard, 2))
    tamper(pipeline, shard, 1, "_version + bitShiftLeft(toUInt64(1), 60) AS _version, 99.5 AS cost")
    rounds: list[str] = []
    repaired = repair(pipeline, only(pipeline, shard), rounds.append)
    assert repaired.answer == "different"
    assert repaired.reason == (
        "reading them again changes nothing: 1 row: ClickHouse's version is newer than any record, so "
        "somebody else has written it: delete it there, and repair again"
    )
    assert len(rounds) == 2
