"""No copy differs without saying so: random statements on every type, kind of key and DDL."""

from __future__ import annotations

import os
import time

from connectors.capture_service import CaptureService
from connectors.snapshot_tracker import SnapshotTracker
from core.clients import mysql
from core.control.table_health import conditions
from tests.conftest import Space
from tests.contracts.traffic import TABLES, unique_keys
from tests.pipeline import Pipeline, eventually
from tests.soak import scaled
from tests.stack.consumers.traffic import MARKED, Traffic, different_rows

ALL = (*TABLES.values(), unique_keys)


def test_no_copy_differs_without_saying_so(pipeline: Pipeline, space: Space) -> None:
    seed = int(os.environ.get("SWITCHBOARD_SEED", "") or scaled(1, int(time.time())))
    print(f"to repeat the statements: SWITCHBOARD_SEED={seed}")
    shard = space.name("traffic")
    pipeline.sql(f"CREATE DATABASE {shard}")
    collections = [f"{shard}.{table.name}" for table in ALL]
    with mysql.cursor(pipeline.endpoints.mysql[0], shard) as cursor:
        traffic = Traffic(cursor, seed)
        for number in range(scaled(3, 100)):
            if number:
                SnapshotTracker(pipeline.endpoints, pipeline.control).request("main", collections)
            for _ in range(scaled(2500, 10_000)):
                traffic.step()
            await_equal(pipeline, shard)
    print(f"{traffic.statements} statements")
    assert marked_tables(pipeline, shard) <= {MARKED}, "the others were compared"


def await_equal(pipeline: Pipeline, shard: str) -> None:
    lines: list[str] = []

    def are_equal() -> bool:
        lines[:] = unmarked(pipeline, shard)
        return not lines

    try:
        eventually(are_equal, within=60)
    finally:
        print("\n".join(lines[:20]))


def unmarked(pipeline: Pipeline, shard: str) -> list[str]:
    """The rows that differ, of tables that have no condition."""
    marked = marked_tables(pipeline, shard)
    return [
        line for table in ALL if table.name not in marked for line in different_rows(pipeline, table, shard)
    ]


def marked_tables(pipeline: Pipeline, shard: str) -> set[str]:
    """Those that are said to need a snapshot or a verification."""
    CaptureService(pipeline.endpoints, pipeline.catalog, pipeline.control).record()
    return {item.table for item in conditions(pipeline.control) if item.shard in (shard, "*")}
