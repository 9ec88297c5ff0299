"""What Debezium cannot process concerns one table: it is marked and read again, and all others continue."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.auto_remediation import POLL_SECONDS, CaptureMonitor
from connectors.capture_service import CaptureService
from connectors.snapshot_tracker import SnapshotTracker
from core.clients import mysql
from core.clients.kafka import read_topic
from core.control.table_health import NEEDS_SNAPSHOT, NEEDS_VERIFICATION, conditions
from core.settings import MAX_RECORD_BYTES, Endpoints
from core.wire.confluent import note
from schemas.catalog import Catalog
from schemas.render.connect import connector_name
from schemas.render.zero_dates import ZERO_DAY
from schemas.table import Shards
from tests.clock import ManualClock
from tests.pipeline import eventually
from tests.stack.connectors.source import DDL, Source, contract, create_test_source

NAME = "ci"
SHARD = "ci_1"
THINGS = contract("ci_things", Shards("ci_*"))
OTHERS = contract("ci_others", Shards("ci_*"))
LARGE = contract("ci_large", Shards("ci_*"))
ALL = (THINGS, OTHERS, LARGE)
NEW_KEYS = itertools.count(1000)
NEW_SHARDS = itertools.count(2)


@pytest.fixture(scope="module")
def source(stack: Endpoints) -> Iterator[Source]:
    with create_test_source(stack, NAME) as ours:
        ours.sql("mysql", f"CREATE DATABASE {SHARD}")
        for table in ("ci_things", "ci_others"):
            ours.sql(SHARD, DDL.format(table))
            ours.fill(SHARD, table, 1, 5)
        ours.apply(*ALL)
        ours.loaded(*ALL)
        yield ours


@pytest.fixture
def shard(source: Source) -> str:
    """A new shard, which has no tables yet."""
    name = f"ci_{next(NEW_SHARDS)}"
    source.sql("mysql", f"CREATE DATABASE {name}")
    return name


def captures(source: Source) -> CaptureService:
    return CaptureService(source.endpoints, Catalog(ALL), source.control)


def others_continue(source: Source) -> None:
    """Once this holds, the connector has also processed what was committed before."""
    key = next(NEW_KEYS)
    source.fill(SHARD, "ci_others", key, 1)
    eventually(lambda: any(record.key["id"] == key for record in source.records("cdc.ci_others")))


def newest(source: Source, shard: str, key: int) -> dict[str, Any] | None:
    """The newest state of a row, as its topic has it."""
    found = [
        record
        for record in source.records("cdc.ci_things")
        if record.shard == shard and record.key["id"] == key
    ]
    return found[-1].value["after"] if found and found[-1].value is not None else None


def reasons(source: Source, shard: str) -> dict[str, str]:
    captures(source).record()
    return {item.state: item.reason for item in conditions(source.control) if item.shard == shard}


def read_again(source: Source, shard: str) -> None:
    """The watch has the table read again."""
    clock = ManualClock()
    watch = CaptureMonitor(captures(source), clock)
    clock.now += POLL_SECONDS
    assert watch.poll() == [f"{NAME}/{shard}.ci_things"]
    source.loaded(*ALL)
    assert set(reasons(source, shard)) == {NEEDS_VERIFICATION}


@pytest.mark.parametrize("image", ["MINIMAL", "NOBLOB"])
def test_an_update_without_all_columns(source: Source, shard: str, image: str) -> None:
    source.sql(
        shard,
        "CREATE TABLE ci_things (id BIGINT PRIMARY KEY, note TEXT)",
        "INSERT INTO ci_things VALUES (1, 'old'), (2, 'goes')",
        f"SET SESSION binlog_row_image = {image}",
        "UPDATE ci_things SET id = 3 WHERE id = 1",
        "DELETE FROM ci_things WHERE id = 2",
        "SET SESSION binlog_row_image = FULL",
        "INSERT INTO ci_things VALUES (4, 'new')",
    )
    others_continue(source)
    assert newest(source, shard, 4) == {"id": 4, "note": "new"}
    assert newest(source, shard, 3) is None
    found = reasons(source, shard)
    assert set(found) == {NEEDS_SNAPSHOT, NEEDS_VERIFICATION}
    assert "binlog_row_image is MINIMAL or NOBLOB" in found[NEEDS_SNAPSHOT]
    read_again(source, shard)
    assert newest(source, shard, 3) == {"id": 3, "note": "old"}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        pytest.param("BIT(4) DEFAULT 5", b"\x05", id="bits"),
        pytest.param("BIT(12) DEFAULT 0x0FF", b"\xff\x00", id="hexadecimal bits"),
        pytest.param("INT DEFAULT 0x1F", 31, id="a hexadecimal integer"),
        pytest.param("INT DEFAULT '1e2'", 100, id="an integer with an exponent"),
        pytest.param("TIME DEFAULT 101010", 36_610_000_000, id="a number as time"),
        pytest.param("TIMESTAMP DEFAULT '20200102030405'", "2020-01-02T03:04:05Z", id="a compact timestamp"),
        pytest.param("DATE DEFAULT 20240102", 19_724, id="a number as date"),
    ],
)
def test_a_default_that_debezium_cannot_convert(
    source: Source, shard: str, column: str, value: object
) -> None:
    source.sql(
        shard,
        f"CREATE TABLE ci_things (id BIGINT PRIMARY KEY, note VARCHAR(50), more {column})",
        "INSERT INTO ci_things (id) VALUES (1)",
    )
    others_continue(source)
    assert newest(source, shard, 1) == {"id": 1, "note": None, "more": value}
    assert reasons(source, shard) == {}


def test_defaults_do_not_keep_the_connector_from_starting_again(source: Source) -> None:
    captures(source).restart(source.server)
    others_continue(source)


def test_a_statement_that_debezium_cannot_parse(source: Source, shard: str) -> None:
    before = conditions(source.control)
    source.sql(
        shard,
        DDL.format("ci_things"),
        "SET sql_mode = 'ANSI_QUOTES'",
        'CREATE TABLE "x" ("id" INT PRIMARY KEY)',
        "INSERT INTO ci_things VALUES (1, 'one')",
    )
    others_continue(source)
    assert newest(source, shard, 1) == {"id": 1, "note": "one"}
    captures(source).record()
    assert conditions(source.control) == before


@pytest.mark.parametrize(
    "statement",
    [
        'ALTER TABLE "ci_things" ADD COLUMN "more" INT DEFAULT 7',
        'ALTER TABLE ci_things ADD COLUMN more INT DEFAULT 7, COMMENT = "quoted", ADD INDEX "by_more" (more)',
    ],
)
def test_a_statement_that_debezium_cannot_parse_alters_a_captured_table(
    source: Source, shard: str, statement: str
) -> None:
    source.sql(
        shard,
        DDL.format("ci_things"),
        "INSERT INTO ci_things VALUES (1, 'one')",
        "SET sql_mode = 'ANSI_QUOTES'",
        statement.replace('"quoted"', "'quoted'"),
        "INSERT INTO ci_things VALUES (2, 'two', 8)",
    )
    others_continue(source)
    assert newest(source, shard, 2) == {"id": 2, "note": "two", "more": 8}
    assert f"Debezium cannot process {statement[:24]}" in reasons(source, shard)[NEEDS_SNAPSHOT]
    read_again(source, shard)
    assert newest(source, shard, 1) == {"id": 1, "note": "one", "more": 7}


@pytest.mark.parametrize("kind", ["created", "altered"])
def test_a_table_created_or_altered_without_the_binlog(source: Source, shard: str, kind: str) -> None:
    create, without = DDL.format("ci_things"), "ALTER TABLE ci_things ADD COLUMN more INT DEFAULT 7"
    source.sql(
        shard,
        *([create] if kind == "altered" else []),
        "SET sql_log_bin = 0",
        *([create] if kind == "created" else []),
        without,
        "INSERT INTO ci_things VALUES (1, 'not logged', 1)",
        "SET sql_log_bin = 1",
        "INSERT INTO ci_things VALUES (2, 'two', 8)",
    )
    others_continue(source)
    assert newest(source, shard, 2) == {"id": 2, "note": "two", "more": 8}
    assert f"it was {kind} without the binlog" in reasons(source, shard)[NEEDS_SNAPSHOT]
    read_again(source, shard)
    assert newest(source, shard, 1) == {"id": 1, "note": "not logged", "more": 1}


def test_a_table_that_cannot_be_read_at_all_until_it_is_altered(source: Source, shard: str) -> None:
    source.sql(
        shard,
        "CREATE TABLE ci_things (id BIGINT PRIMARY KEY, note VARCHAR(50), `a b` INT, `a?b` INT)",
        "INSERT INTO ci_things VALUES (1, 'one', 1, 2)",
    )
    others_continue(source)
    assert newest(source, shard, 1) is None
    assert "field name duplication a_b; alter the table" in reasons(source, shard)[NEEDS_SNAPSHOT]
    states = [part["state"] for part in source.connect.status(connector_name(NAME))["tasks"]]
    assert states == ["RUNNING"]
    source.sql(shard, "ALTER TABLE ci_things DROP COLUMN `a?b`", "INSERT INTO ci_things VALUES (2, 'two', 1)")
    others_continue(source)
    assert newest(source, shard, 2) == {"id": 2, "note": "two", "a_b": 1}
    reasons(source, shard)
    read_again(source, shard)
    assert newest(source, shard, 1) == {"id": 1, "note": "one", "a_b": 1}


def test_a_row_that_is_larger_than_a_record_may_be(source: Source, shard: str) -> None:
    """Landers write the note in its place to the dead letters."""
    source.sql(
        shard,
        "CREATE TABLE ci_large (id BIGINT PRIMARY KEY, note LONGTEXT)",
        "INSERT INTO ci_large VALUES (1, 'one')",
        "UPDATE ci_large SET note = REPEAT('x', 17000000) WHERE id = 1",
        "INSERT INTO ci_large VALUES (2, REPEAT('x', 16000000)), (3, 'three')",
    )
    others_continue(source)
    notes = {
        json.loads(message.key() or b"")["id"]: note(message.value() or b"")
        for message in read_topic(source.endpoints.kafka, "cdc.ci_large")
    }
    assert notes == {
        1: f"a record of {notes[1].split()[3]} bytes, more than the {MAX_RECORD_BYTES} that its topic takes",  # type: ignore[union-attr]
        2: None,
        3: None,
    }


@pytest.mark.parametrize("outcome", ["COMMIT", "ROLLBACK"])
def test_a_prepared_transaction_that_is_rolled_back(source: Source, shard: str, outcome: str) -> None:
    source.sql(
        shard,
        DDL.format("ci_things"),
        "XA START 'one', 'branch', 7",
        "INSERT INTO ci_things VALUES (1, 'phantom')",
        "XA END 'one', 'branch', 7",
        "XA PREPARE 'one', 'branch', 7",
    )
    source.sql(shard, f"XA {outcome} 'one', 'branch', 7")
    others_continue(source)
    assert newest(source, shard, 1) == {"id": 1, "note": "phantom"}
    found = reasons(source, shard)
    assert set(found) == ({NEEDS_VERIFICATION} if outcome == "ROLLBACK" else set())
    assert all("took them back: run `switchboard verify --repair`" in reason for reason in found.values())


def test_an_enum_that_a_connection_in_latin1_declares(source: Source, shard: str) -> None:
    with mysql.cursor(source.server, shard) as cursor:
        cursor.execute("SET NAMES latin1")
        create = "CREATE TABLE ci_things (id BIGINT PRIMARY KEY, note ENUM('é', 'b') CHARACTER SET utf8mb4)"
        cursor.connection.query(create.encode("latin1"))
    source.sql(shard, "INSERT INTO ci_things VALUES (1, 1), (2, 2)")
    others_continue(source)
    assert [newest(source, shard, key) for key in (1, 2)] == [{"id": 1, "note": "é"}, {"id": 2, "note": "b"}]
    assert reasons(source, shard) == {}


def test_a_table_with_dates_that_do_not_exist_is_read_beside_others(source: Source, shard: str) -> None:
    source.sql(
        shard,
        "CREATE TABLE ci_things (id BIGINT PRIMARY KEY, note DATE)",
        DDL.format("ci_others"),
        "SET sql_mode = 'ALLOW_INVALID_DATES'",
        "INSERT INTO ci_things VALUES (1, '2020-01-01')",
        "INSERT INTO ci_things VALUES (2, '2020-02-30')",
    )
    others_continue(source)
    read = {1: 18_262, 2: ZERO_DAY - (2020 * 512 + 2 * 32 + 30)}
    assert {key: newest(source, shard, key)["note"] for key in read} == read  # type: ignore[index]
    assert reasons(source, shard) == {}
    tracker = SnapshotTracker(source.endpoints, source.control)
    tracker.request(NAME, [f"{shard}.ci_things", f"{shard}.ci_others"])
    assert tracker.wait(60) == []
    after = [
        record.value["after"]
        for record in source.records("cdc.ci_things")
        if record.value and record.shard == shard and record.op == "r"
    ]
    assert {row["id"]: row["note"] for row in after} == read
    assert source.ops("cdc.ci_others", shard) == {}


PARTITIONED = (
    "CREATE TABLE ci_things (id BIGINT PRIMARY KEY, note INT) PARTITION BY RANGE (id) "
    "(PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)"
)
GENERATED = "CREATE TABLE ci_things (id BIGINT PRIMARY KEY, note INT AS (id * 10) STORED)"


@pytest.mark.parametrize(
    ("statements", "marks"),
    [
        ((PARTITIONED, "ALTER TABLE ci_things TRUNCATE PARTITION p0"), {NEEDS_VERIFICATION}),
        ((PARTITIONED, "ALTER TABLE ci_things DROP PARTITION p0"), {NEEDS_VERIFICATION}),
        ((GENERATED, "ALTER TABLE ci_things MODIFY note INT AS (id * 100) STORED"), {NEEDS_SNAPSHOT}),
        (
            (
                DDL.format("ci_things"),
                "ALTER TABLE ci_things DROP COLUMN note",
                "ALTER TABLE ci_things ADD COLUMN note VARCHAR(50)",
            ),
            {NEEDS_SNAPSHOT},
        ),
        (
            (
                DDL.format("ci_things"),
                "ALTER TABLE ci_things DROP COLUMN note, ADD COLUMN note VARCHAR(50)",
            ),
            {NEEDS_SNAPSHOT},
        ),
        ((GENERATED, "ALTER TABLE ci_things ADD INDEX by_note (note), COMMENT = 'x'"), set()),
    ],
)
def test_ddl_that_changes_rows_without_events(
    source: Source, shard: str, statements: tuple[str, ...], marks: set[str]
) -> None:
    source.sql(shard, *statements)
    others_continue(source)
    assert set(reasons(source, shard)) == marks
