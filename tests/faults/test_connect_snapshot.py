"""Connect killed in the middle of a snapshot, while rows change on both sides of where it stands: verify
finds equality."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from connectors.capture_service import CaptureService
from connectors.snapshot_tracker import COMPLETED, SnapshotProgress, SnapshotTracker
from connectors.snapshots import pause_snapshots, read_snapshot_events, resume_snapshots
from switchboard import stack as local_stack
from tests.faults.changing import SHARD, Changing
from tests.pipeline import Pipeline, eventually
from tests.soak import scaled

KILLED, UNDER_WRITES = "g_killed", "g_writes"
ROWS = scaled(10_000, 100_000)
CHUNK_ROWS = 500
FILL = f"""
INSERT INTO {{}}
WITH RECURSIVE numbers (n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM numbers WHERE n < {ROWS})
SELECT /*+ SET_VAR(cte_max_recursion_depth = {ROWS}) */ n, 1, 1 FROM numbers
"""


@pytest.fixture(scope="module")
def changing(faulty: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Changing:
    server = faulty.endpoints.mysql[0].model_copy(update={"snapshot_chunk_rows": CHUNK_ROWS})
    by_small_chunks = replace(faulty, endpoints=faulty.endpoints.model_copy(update={"mysql": (server,)}))
    changing = Changing(by_small_chunks, tmp_path_factory.mktemp("contracts"), (KILLED, UNDER_WRITES))
    loaded(changing)
    return changing


def loaded(changing: Changing) -> None:
    pipeline = changing.pipeline
    assert (
        CaptureService(pipeline.endpoints, pipeline.catalog, pipeline.control).wait_snapshots(limit=180) == []
    )


def newest(changing: Changing, table: str) -> SnapshotProgress:
    snapshots = SnapshotTracker(changing.pipeline.endpoints, changing.pipeline.control).history("main")
    return [snapshot for snapshot in snapshots if snapshot.collection == f"{SHARD}.{table}"][-1]


def read_part(changing: Changing, table: str) -> int:
    """Requests a snapshot and pauses it after a chunk; the key up to which it has read.

    Both signals of a step are sent at once, so that however fast the connector reads, it is paused before it
    has read everything. Before the first chunk it reads only the table's schema.
    """
    pipeline = changing.pipeline
    kafka = pipeline.endpoints.kafka
    with pausing(pipeline):
        SnapshotTracker(pipeline.endpoints, pipeline.control).request("main", [f"{SHARD}.{table}"])
        pause_snapshots(kafka, "main")
    while not newest(changing, table).last_key:
        with pausing(pipeline):
            resume_snapshots(kafka, "main")
            pause_snapshots(kafka, "main")
    progress = newest(changing, table)
    assert progress.paused
    assert 1000 < int(progress.last_key) < int(progress.maximum_key)
    return int(progress.last_key)


@contextmanager
def pausing(pipeline: Pipeline) -> Iterator[None]:
    """Waits at the end for the pause that the block requests."""
    before = pauses(pipeline)
    yield
    eventually(lambda: pauses(pipeline) > before)


def pauses(pipeline: Pipeline) -> int:
    return sum(event.kind == "PAUSED" for event in read_snapshot_events(pipeline.endpoints, "main"))


def kill(changing: Changing) -> None:
    local_stack.kill(changing.pipeline.home, "connect")


def start_again(changing: Changing) -> None:
    """A restart forgets the pause, unless its signal was read too shortly before the kill, and is read
    again."""
    local_stack.start_service(changing.pipeline.home, "connect")
    changing.pipeline.heal()
    resume_snapshots(changing.pipeline.endpoints.kafka, "main")


def test_rows_changed_while_it_is_dead_are_equal_once_it_has_resumed(changing: Changing) -> None:
    table = changing.fresh(KILLED)
    changing.sql(FILL.format(table))
    # A chunk is whole as soon as the source is heard from: writes to another table save seconds of waiting
    # for each.
    with (
        changing.pipeline.lander(),
        changing.pipeline.watch(),
        changing.writing(UNDER_WRITES, first=3 * ROWS),
    ):
        key = read_part(changing, table)
        kill(changing)
        changing.sql(
            f"DELETE FROM {table} WHERE id IN (2000, {key - 1}, {key}, {key + 1}, {ROWS - 1}) OR id % 1000 = "
            "7"
        )
        changing.sql(f"UPDATE {table} SET m = 2 WHERE id % 1000 = 8")
        changing.sql(f"INSERT INTO {table} VALUES ({ROWS + 1}, 1, 1)")
        start_again(changing)
        loaded(changing)
        assert newest(changing, table).status == COMPLETED
        assert changing.equal(table)


def test_it_is_killed_again_and_again_while_an_application_writes(changing: Changing) -> None:
    table = changing.fresh(UNDER_WRITES)
    changing.sql(FILL.format(table))
    with changing.pipeline.lander(), changing.pipeline.watch(), changing.writing(table, first=2 * ROWS):
        read_part(changing, table)
        for _ in range(2):
            kill(changing)
            start_again(changing)
        loaded(changing)
    with changing.pipeline.lander():
        assert changing.equal(table)
