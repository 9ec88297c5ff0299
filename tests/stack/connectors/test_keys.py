"""A snapshot of several chunks reads each row once, whatever the type of the key."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from connectors.capture_service import CaptureService
from connectors.snapshot_tracker import REQUESTED, SnapshotProgress, SnapshotTracker
from connectors.snapshots import pause_snapshots, read_snapshot_events, resume_snapshots
from core.clients import mysql
from core.settings import Endpoints
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog
from schemas.render.connect import connector_name
from schemas.table import Latest, Metadata, Table, immutable
from tests.pipeline import eventually
from tests.stack.connectors.source import CHUNK_ROWS, Source, create_test_source

NAME = "ck"
SHARD = "ck_keys"
ROWS = CHUNK_ROWS + CHUNK_ROWS // 2
MANY_CHUNKS = 200
"""They take some seconds to read; the connector reads one signal a second."""
KINDS: dict[str, tuple[str, Callable[[int], object]]] = {
    "enum": ("ENUM('z','a')", lambda number: "za"[number % 2]),
    "quoted_enum": (r"ENUM('it''s','a\\b','(')", lambda number: ["it's", "a\\b", "("][number % 3]),
    "set": ("SET('c','b','a')", lambda number: ["", "c", "a", "c,a", "c,b,a"][number % 5]),
    "unsigned": ("BIGINT UNSIGNED", lambda number: number if number % 2 else 2**64 - 1 - number),
    "decimal": ("DECIMAL(40,4)", lambda number: f"{number - 75}.{number:04}"),
    "double": ("DOUBLE", lambda number: number * 0.1),
    "time": ("TIME(6)", lambda number: f"{'-' if number % 2 else ''}{number:03}:00:00.{number:06}"),
    "datetime": ("DATETIME(6)", lambda number: f"2020-01-01 00:{number % 60:02}:00.{number:06}"),
    "timestamp": ("TIMESTAMP(3)", lambda number: f"2020-10-25 {number % 24:02}:30:00.{number:03}"),
    "absent_date": ("DATE", lambda number: f"{1900 + number}-02-{number % 2 * 30:02}"),
    "absent_datetime": ("DATETIME(3)", lambda number: f"{number}-00-00 01:00:00.{number:03}"),
    "year": ("YEAR", lambda number: number and 1900 + number),
    "text": ("VARCHAR(20)", lambda number: "éEzZ'\\😀"[number % 7] + str(number // 7)),
    "latin": ("VARCHAR(20) CHARACTER SET latin1", lambda number: f"é{number}"),
    "bytes": ("VARBINARY(8)", lambda number: bytes([number, 255 - number, 0])),
}  # fmt: skip


def table(kind: str) -> Table:
    columns = (immutable(1, "id", t.Int(), p.PUBLIC), immutable(2, "k", t.Text(), p.PUBLIC))
    return Table(
        name=f"ck_{kind}", source=Metadata(SHARD), key=("k", "id"), history=Latest(), columns=columns
    )


INVISIBLE = table("invisible")
ALL = (*map(table, KINDS), INVISIBLE)


@pytest.fixture(scope="module")
def source(stack: Endpoints) -> Iterator[Source]:
    with create_test_source(stack, NAME) as ours:
        ours.sql("mysql", f"CREATE DATABASE {SHARD}")
        for kind, (column, value) in KINDS.items():
            create(ours, f"ck_{kind}", f"id INT NOT NULL, k {column} NOT NULL", value)
        create(ours, INVISIBLE.name, "id INT NOT NULL, k INT NOT NULL INVISIBLE", lambda number: number)
        ours.apply(*ALL)
        ours.loaded(*ALL)
        yield ours


def create(source: Source, name: str, columns: str, value: Callable[[int], object]) -> None:
    source.sql(SHARD, f"CREATE TABLE {name} ({columns}, PRIMARY KEY (k, id))")
    rows = [(number, value(number)) for number in range(ROWS)]
    with mysql.cursor(source.server, SHARD) as cursor:
        cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES'")
        cursor.executemany(f"INSERT INTO {name} (id, k) VALUES (%s, %s)", rows)


@pytest.mark.parametrize("kind", KINDS)
def test_each_row_is_read_once(source: Source, kind: str) -> None:
    values = [record.value["after"] for record in source.records(f"cdc.ck_{kind}") if record.value]
    assert sorted(value["id"] for value in values) == list(range(ROWS))


def test_invisible_columns_are_read_like_others(source: Source) -> None:
    source.sql(SHARD, f"INSERT INTO {INVISIBLE.name} (id, k) VALUES (1000, 7)")
    eventually(lambda: source.ops(f"cdc.{INVISIBLE.name}", SHARD)["c"] == 1)
    values = [record.value["after"] for record in source.records(f"cdc.{INVISIBLE.name}") if record.value]
    assert sorted((value["id"], value["k"]) for value in values) == [
        *((number, number) for number in range(ROWS)),
        (1000, 7),
    ]


def test_a_snapshot_continues_after_a_restart_where_it_was(source: Source) -> None:
    create(source, "ck_more", "id INT NOT NULL, k ENUM('z','a') NOT NULL", KINDS["enum"][1])
    rows = [(number, "za"[number % 2]) for number in range(ROWS, MANY_CHUNKS * CHUNK_ROWS)]
    with mysql.cursor(source.server, SHARD) as cursor:
        cursor.executemany("INSERT INTO ck_more (id, k) VALUES (%s, %s)", rows)
    source.apply(*ALL, table("more"))
    key = pause_within(source)
    CaptureService(source.endpoints, Catalog((*ALL, table("more"))), source.control).restart(source.server)
    source.loaded(*ALL, table("more"))
    read = {record.key["id"] for record in source.records("cdc.ck_more") if record.op == "r"}
    assert read == set(range(MANY_CHUNKS * CHUNK_ROWS)), f"paused at {key}"


def test_a_connector_that_stops_within_a_snapshot_leaves_the_table_unlocked(source: Source) -> None:
    tracker = SnapshotTracker(source.endpoints, source.control)
    tracker.request(NAME, [f"{SHARD}.ck_more"])
    begun = count(source, "IN_PROGRESS")
    eventually(lambda: count(source, "IN_PROGRESS") > begun)
    source.connect.change(connector_name(NAME), "stop")
    eventually(lambda: source.connect.status(connector_name(NAME))["connector"]["state"] == "STOPPED")
    source.sql(SHARD, "SET lock_wait_timeout = 5", "ALTER TABLE ck_more COMMENT = 'altered'")
    source.connect.change(connector_name(NAME), "resume")
    assert tracker.wait(60) == []


def pause_within(source: Source) -> str:
    """Pauses the snapshot after some of its chunks, and returns the last key that was read."""
    kafka, tracker = source.endpoints.kafka, SnapshotTracker(source.endpoints, source.control)

    def progress() -> SnapshotProgress:
        return next(item for item in tracker.history(NAME) if item.collection == f"{SHARD}.ck_more")

    rounds = 0
    while not progress().last_key:
        assert progress().status == REQUESTED, "it ended before it was paused"
        rounds += 1
        resume_snapshots(kafka, NAME)
        if rounds > 1:  # executed together, resume and pause read no chunk
            eventually(lambda: count(source, "RESUMED") >= rounds - 1)  # noqa: B023
        pause_snapshots(kafka, NAME)
        eventually(lambda: count(source, "PAUSED") >= rounds)  # noqa: B023
    assert progress().status == REQUESTED
    return progress().last_key


def count(source: Source, kind: str) -> int:
    return sum(event.kind == kind for event in read_snapshot_events(source.endpoints, NAME))
