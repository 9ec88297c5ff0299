"""A Debezium of this test's own: what it publishes, its snapshots, and tables and shards that come later."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select

from connectors.capture_service import CaptureService
from connectors.snapshot_tracker import COMPLETED, FAILED, REQUESTED, STOPPED, SnapshotTracker
from connectors.snapshots import pause_snapshots, read_snapshot_events, resume_snapshots, stop_snapshots
from core.clients import mysql
from core.clock import utc_now
from core.control import ControlDatabase
from core.control.models import Base, Snapshot
from core.settings import Endpoints, MySqlServer
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog
from schemas.render.connect import connector_name
from schemas.table import Latest, Metadata, Shards, Table, immutable, required
from tests.pipeline import eventually
from tests.stack.connectors.distant_server import DistantServer, distant
from tests.stack.connectors.source import CHUNK_ROWS, DDL, Source, contract, create_test_source

NAME = "ct"
SHARDS = ("ct_1", "ct_2")
ROWS = 2 * CHUNK_ROWS + 50
"""Read in three chunks."""
NEW_KEYS = itertools.count(1000)
MANY_CHUNKS = 200
"""They take some seconds to read; the connector reads one signal a second."""


THINGS = contract("ct_things", Shards("ct_?"))
LATER = contract("ct_later", Shards("ct_?"))
KINDS = contract("ct_kinds", Metadata("ct_meta"))
CODES = Table(
    name="ct_codes",
    source=Metadata("ct_meta"),
    key=("z_code", "a_part"),
    history=Latest(),
    columns=(
        required(1, "first_code", t.Int(), p.PUBLIC),
        immutable(2, "a_part", t.Int(), p.PUBLIC),
        immutable(3, "z_code", t.Int(), p.PUBLIC),
    ),
)
"""Without a primary key; Debezium alone would take the unique key that was declared first."""


@pytest.fixture(scope="module")
def server(stack: Endpoints) -> Iterator[DistantServer]:
    with distant(stack.mysql[0].port) as ours:
        yield ours


@pytest.fixture(scope="module")
def source(stack: Endpoints, server: DistantServer) -> Iterator[Source]:
    with create_test_source(stack, NAME, server.port) as ours:
        for shard in SHARDS:
            ours.sql("mysql", f"CREATE DATABASE {shard}")
            ours.sql(shard, DDL.format("ct_things"), DDL.format("CT_THINGS"))
            ours.fill(shard, "ct_things", 1, ROWS if shard == "ct_1" else 10)
        ours.sql("mysql", "CREATE DATABASE ct_meta")
        ours.sql("ct_meta", DDL.format("ct_kinds"), "INSERT INTO ct_kinds VALUES (1, 'one')")
        ours.sql(
            "ct_meta",
            "CREATE TABLE ct_codes (first_code INT NOT NULL, a_part INT NOT NULL, z_code INT NOT NULL, "
            "UNIQUE (first_code), UNIQUE (z_code, a_part))",
            "INSERT INTO ct_codes VALUES (1, 1, 1)",
        )
        ours.apply(THINGS, KINDS, CODES)
        yield ours


def test_rows_that_stood_before_are_read_by_snapshots_at_once(source: Source) -> None:
    started = time.monotonic()
    source.loaded(THINGS, KINDS, CODES)
    print(f"snapshots of {ROWS + 12} rows: {time.monotonic() - started:.1f} s after the connector ran")
    things = source.records("cdc.ct_things")
    assert Counter((record.shard, record.op) for record in things) == {("ct_1", "r"): ROWS, ("ct_2", "r"): 10}
    assert source.plan(THINGS, KINDS, CODES) == []


def test_a_key_is_json_with_its_shard_and_decides_the_partition(source: Source) -> None:
    things = source.records("cdc.ct_things")
    assert {tuple(record.key) for record in things} == {("id", "_shard")}
    assert all(record.key["_shard"] == record.shard for record in things)
    assert len({record.partition for record in things}) == 4
    assert source.records("cdc.ct_kinds")[0].key == {"id": 1, "_shard": "ct_meta"}


def test_a_key_is_the_contract_s_whichever_unique_key_the_source_puts_first_or_makes_primary(
    source: Source,
) -> None:
    source.sql(
        "ct_meta",
        "INSERT INTO ct_codes VALUES (2, 1, 2)",
        "UPDATE ct_codes SET first_code = 3 WHERE first_code = 2",
        "ALTER TABLE ct_codes ADD PRIMARY KEY (first_code)",
        "UPDATE ct_codes SET first_code = 4 WHERE first_code = 3",
        "UPDATE ct_codes SET z_code = 5 WHERE first_code = 4",
    )
    eventually(lambda: source.ops("cdc.ct_codes", "ct_meta")["d"] == 1)
    records = source.records("cdc.ct_codes")
    assert {tuple(record.key) for record in records} == {("z_code", "a_part", "_shard")}
    changes = [(record.key["z_code"], record.op) for record in records]
    assert [op for code, op in changes if code == 2] == ["c", "u", "u", "d"]
    assert [(code, op) for code, op in changes if code != 2] in ([(1, "r"), (5, "c")], [(5, "c"), (1, "r")])


def test_a_snapshot_reports_its_progress_by_key_and_rows(source: Source) -> None:
    events = [
        event
        for event in read_snapshot_events(source.endpoints, NAME)
        if event.collection == "ct_1.ct_things"
    ]
    assert [event.kind for event in events].count("IN_PROGRESS") >= 2
    assert all(event.maximum_key == str(ROWS) for event in events if event.kind == "IN_PROGRESS")
    assert [(event.status, event.rows) for event in events if event.kind == "TABLE_SCAN_COMPLETED"] == [
        ("SUCCEEDED", ROWS)
    ]


def test_changes_of_every_kind_are_seen(source: Source) -> None:
    source.sql(
        "ct_2",
        "INSERT INTO ct_things VALUES (100, 'new')",
        "UPDATE ct_things SET note = 'changed' WHERE id = 100",
        "UPDATE ct_things SET id = 101 WHERE id = 100",
        "DELETE FROM ct_things WHERE id = 101",
        "TRUNCATE TABLE ct_things",
    )
    eventually(lambda: source.ops("cdc.ct_things", "ct_2")["t"] == 1)
    ops = source.ops("cdc.ct_things", "ct_2")
    assert ops == {"r": 10, "c": 2, "u": 1, "d": 2, "t": 1}
    things = source.records("cdc.ct_things")
    assert [(record.key, record.shard) for record in things if record.op == "t"] == [(None, "ct_2")]
    assert next(record.value for record in things if record.op == "u")["before"] == {"id": 100, "note": "new"}  # type: ignore[index]


def test_a_name_in_other_letters_is_another_table(source: Source) -> None:
    source.fill("ct_1", "CT_THINGS", 1, 5)
    source.fill("ct_1", "ct_things", ROWS + 1, 1)
    eventually(lambda: source.ops("cdc.ct_things", "ct_1")["c"] == 1)
    states = [part["state"] for part in source.connect.status(connector_name(NAME))["tasks"]]
    assert states == ["RUNNING"]


@contextmanager
def writing(server: MySqlServer, pause: float) -> Iterator[list[int]]:
    """An application that inserts row after row, with `pause` seconds in between, until the block ends.

    Yields the keys so far.
    """
    stop, keys = threading.Event(), list[int]()

    def write() -> None:
        with mysql.cursor(server, "ct_2") as cursor:
            for key in NEW_KEYS:
                cursor.execute(f"INSERT INTO ct_things VALUES ({key}, 'new')")
                keys.append(key)
                if stop.wait(pause):
                    return

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield keys
    finally:
        stop.set()
        thread.join()


def test_a_table_added_later_is_read_while_others_flow(source: Source, stack: Endpoints) -> None:
    for shard in SHARDS:
        source.sql(shard, DDL.format("ct_later"))
        source.fill(shard, "ct_later", 1, 500)
    with writing(stack.mysql[0], pause=0.02) as written:
        steps = [
            (step.action, step.subject)
            for step in source.plan(THINGS, KINDS, CODES, LATER)
            if step.target == "connect"
        ]
        assert steps == [("change", "mysql-ct"), ("run", "ct/snapshots")]
        source.apply(THINGS, KINDS, CODES, LATER)
        source.loaded(THINGS, KINDS, CODES, LATER)
    later = Counter((record.shard, record.op) for record in source.records("cdc.ct_later"))
    assert later == {("ct_1", "r"): 500, ("ct_2", "r"): 500}
    eventually(lambda: source.ops("cdc.ct_things", "ct_2")["c"] >= 2 + len(written))
    things = [
        record for record in source.records("cdc.ct_things") if (record.shard, record.op) == ("ct_2", "c")
    ]
    assert sorted(record.key["id"] for record in things if record.key["id"] >= written[0]) == written


def test_a_shard_that_comes_later_needs_its_snapshot_only(source: Source) -> None:
    source.sql("mysql", "CREATE DATABASE ct_3")
    source.sql("ct_3", DDL.format("ct_things"))
    source.fill("ct_3", "ct_things", 1, 20)
    (step,) = source.plan(THINGS, KINDS, CODES, LATER)
    assert step.diff == ("> ct_3.ct_things into cdc.ct_things",)
    source.apply(THINGS, KINDS, CODES, LATER)
    source.loaded(THINGS, KINDS, CODES, LATER)
    things = [record for record in source.records("cdc.ct_things") if record.shard == "ct_3"]
    assert {record.key["id"] for record in things} == set(range(1, 21))
    assert {record.op for record in things} == {"r", "c"}


def test_only_the_rows_that_match_the_condition_are_read_again(source: Source) -> None:
    before = source.ops("cdc.ct_things", "ct_1")["r"]
    SnapshotTracker(source.endpoints, source.control).request(NAME, ["ct_1.ct_things"], where="id <= 7")
    source.loaded(THINGS, KINDS, CODES, LATER)
    assert source.ops("cdc.ct_things", "ct_1")["r"] == before + 7


def test_the_stream_and_a_snapshot_that_starts_do_not_disturb_each_other(
    source: Source, stack: Endpoints, server: DistantServer
) -> None:
    """A new transaction arrives after the connector has read the snapshot's first chunk, while it waits for
    the server's answer to a statement after it."""
    tracker, before = SnapshotTracker(source.endpoints, source.control), scans(source)
    with writing(stack.mysql[0], pause=0.002):
        server.seconds = 0.03
        tracker.request(NAME, ["ct_1.ct_things"])
        eventually(lambda: scans(source) != before)
        server.seconds = 0.0
    assert scans(source) == [*before, "SUCCEEDED"]
    assert tracker.pending(NAME) == []


def scans(source: Source) -> list[str]:
    events = read_snapshot_events(source.endpoints, NAME)
    return [
        event.status
        for event in events
        if (event.kind, event.collection) == ("TABLE_SCAN_COMPLETED", "ct_1.ct_things")
    ]


def test_snapshots_are_paused_resumed_and_stopped(source: Source) -> None:
    kafka, tracker = source.endpoints.kafka, SnapshotTracker(source.endpoints, source.control)
    source.sql("ct_1", "TRUNCATE TABLE ct_later")
    source.fill("ct_1", "ct_later", 1000, MANY_CHUNKS * CHUNK_ROWS)
    before = kinds(source)
    tracker.request(NAME, ["ct_1.ct_later"])
    pause_snapshots(kafka, NAME)
    eventually(lambda: kinds(source)["PAUSED"] == before["PAUSED"] + 1)
    resume_snapshots(kafka, NAME)
    pause_snapshots(kafka, NAME)  # at once, so that it is paused again before it has read everything
    eventually(lambda: kinds(source)["PAUSED"] == before["PAUSED"] + 2)
    assert kinds(source)["RESUMED"] == before["RESUMED"] + 1
    stop_snapshots(kafka, NAME)
    eventually(lambda: tracker.pending(NAME) == [])
    assert tracker.latest(NAME)["ct_1.ct_later"].status == STOPPED
    assert [step.subject for step in source.plan(THINGS, KINDS, CODES, LATER)] == ["ct/snapshots"]
    source.sql("ct_1", "TRUNCATE TABLE ct_later")


def kinds(source: Source) -> Counter[str]:
    return Counter(event.kind for event in read_snapshot_events(source.endpoints, NAME))


def lose(source: Source) -> None:
    """A snapshot whose signal nobody has read, as when the task that took it died."""
    lost = Snapshot(
        server=NAME,
        collection="ct_2.ct_later",
        status=REQUESTED,
        after_offset=1 << 40,
        requested_at=utc_now() - dt.timedelta(hours=1),
    )
    with source.control.session() as session:
        session.add(lost)


def test_a_lost_signal_is_sent_again_by_apply(source: Source) -> None:
    lose(source)
    (step,) = [step for step in source.plan(THINGS, KINDS, CODES, LATER) if step.subject == "ct/snapshots"]
    assert "> ct_2.ct_later into cdc.ct_later again; the last one ended as FAILED" in step.diff
    source.apply(THINGS, KINDS, CODES, LATER)
    source.loaded(THINGS, KINDS, CODES, LATER)
    assert SnapshotTracker(source.endpoints, source.control).latest(NAME)["ct_2.ct_later"].status == COMPLETED


def test_a_lost_signal_is_sent_again_by_who_waits_for_it(source: Source) -> None:
    before = source.ops("cdc.ct_later", "ct_2")["r"]
    lose(source)
    source.loaded(THINGS, KINDS, CODES, LATER)
    assert SnapshotTracker(source.endpoints, source.control).latest(NAME)["ct_2.ct_later"].status == COMPLETED
    assert source.ops("cdc.ct_later", "ct_2")["r"] > before


def test_a_failed_snapshot_of_a_table_that_is_no_longer_captured_is_not_requested_again(
    source: Source,
) -> None:
    failed = Snapshot(server=NAME, collection="ct_1.ct_dropped", status=FAILED, after_offset=0)
    with source.control.session() as session:
        session.add(failed)
    service = CaptureService(source.endpoints, Catalog((THINGS, KINDS, CODES, LATER)), source.control)
    assert service.retry_failed_snapshots() == []


def test_a_plan_shows_what_ddl_invalidated_and_stores_nothing(source: Source) -> None:
    tracker = SnapshotTracker(source.endpoints, source.control)
    tracker.request(NAME, ["ct_2.ct_later"])
    column = f"extra_{next(NEW_KEYS)}"  # another one if the test is run again
    source.sql("ct_1", f"ALTER TABLE ct_later ADD COLUMN {column} INT NOT NULL DEFAULT 7")
    eventually(lambda: tracker.pending(NAME) == [])
    before = stored(source.control)
    (step,) = eventually(lambda: source.plan(THINGS, KINDS, CODES, LATER))
    assert f"column '{column}' has values that were not captured as events" in step.diff[0]
    assert stored(source.control) == before
    CaptureService(source.endpoints, Catalog((LATER,)), source.control).record()
    after = stored(source.control)
    changed = {name for name, rows in after.items() if rows != before[name]}
    assert changed == {"snapshots", "schema_change_cursors", "skipped_change_cursors", "table_states"}


def stored(control: ControlDatabase) -> dict[str, list[tuple[object, ...]]]:
    """The rows of every table of the control database."""
    with control.session() as session:
        return {
            name: [tuple(row) for row in session.execute(select(table))]
            for name, table in Base.metadata.tables.items()
        }
