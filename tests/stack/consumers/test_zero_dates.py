"""Dates that the calendar lacks become what the contract says, by the binlog and by a snapshot alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from consumers.dead_letters import read
from core.clients import mysql
from core.clients.registry import Registry
from core.wire.record import RecordDecoder
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually
from tests.stack.consumers.test_landing import landed_count

TABLE = """
CREATE TABLE old_dates (
    since DATE NOT NULL, id BIGINT NOT NULL, day DATE NOT NULL, moment DATETIME NOT NULL,
    moment3 DATETIME(3) NOT NULL, moment6 DATETIME(6) NOT NULL, stamp TIMESTAMP NOT NULL,
    stamp6 TIMESTAMP(6) NOT NULL, year_ YEAR NOT NULL, kept DATETIME(6) NOT NULL,
    kept_stamp TIMESTAMP(3) NULL, kept_year YEAR NOT NULL, strict DATE NOT NULL, PRIMARY KEY (since, id)
)"""
INSERT = "INSERT INTO old_dates VALUES (%s, %s" + ", %s" * 11 + ")"
FIELDS = (
    "day",
    "moment",
    "moment3",
    "moment6",
    "stamp",
    "stamp6",
    "year_",
    "kept",
    "kept_stamp",
    "kept_year",
)
ZERO = ("0000-00-00",) * 6 + ("0000", "0000-00-00", "0000-00-00", "0000")
FINE = (
    "2024-02-29",
    "2024-02-29 23:59:59",
    "2024-02-29 23:59:59.999",
    "2024-02-29 23:59:59.000001",
    "2024-02-29 23:59:59",
    "2024-02-29 23:59:59.29",
    "1901",
    "2024-02-29 00:00:00.5",
    None,
    "2155",
)


def with_dates(*days: str) -> tuple[str | None, ...]:
    """A row's values, these being its dates without and with a time."""
    return (
        *(days[0], *(f"{day} 10:11:12.345678" for day in days[1:4])),
        *FINE[4:7],
        f"{days[4]} 01:02:03",
        *FINE[8:],
    )


ROWS: Mapping[int, tuple[str, tuple[str | None, ...]]] = {
    1: ("2024-02-29", FINE),
    2: ("0000-00-00", ZERO),
    3: ("2024-03-01", with_dates("2024-05-00", "2024-00-05", "2024-00-00", "0000-05-12", "0000-00-00")),
    4: ("0001-01-01", with_dates("0001-01-01", "0005-02-28", "1582-10-10", "1500-02-28", "0099-12-31")),
    5: ("9999-12-31", with_dates("9999-12-31", "1899-12-31", "1700-01-01", "2299-12-31", "9999-12-31")),
}


def insert(
    pipeline: Pipeline, shard: str, rows: Mapping[int, tuple[str, tuple[str | None, ...]]], *settings: str
) -> None:
    with mysql.cursor(pipeline.endpoints.mysql[0], shard) as cursor:
        for setting in ("sql_mode = 'ALLOW_INVALID_DATES'", *settings):
            cursor.execute(f"SET SESSION {setting}")
        for identity, (since, values) in rows.items():
            cursor.execute(INSERT, (since, identity, *values, "2024-01-01"))


@pytest.fixture
def shard(pipeline: Pipeline, space: Space) -> str:
    name = space.name("dates")
    make_old_dates(pipeline, name)
    return name


def make_old_dates(pipeline: Pipeline, database: str) -> None:
    pipeline.sql(f"CREATE DATABASE {database}")
    with mysql.cursor(pipeline.endpoints.mysql[0], database) as cursor:
        cursor.execute("SET sql_mode = ''")
        cursor.execute(TABLE)


def by_stream(pipeline: Pipeline, shard: str) -> None:
    insert(pipeline, shard, ROWS)


def by_compressed_stream(pipeline: Pipeline, shard: str) -> None:
    insert(pipeline, shard, ROWS, "binlog_transaction_compression = 1")


def by_snapshot(pipeline: Pipeline, shard: str) -> None:
    insert(pipeline, shard, ROWS, "sql_log_bin = 0")
    assert pipeline.command("connectors", "snapshot", "old_dates").returncode == 0


@pytest.mark.parametrize("arrive", [by_stream, by_compressed_stream, by_snapshot])
def test_zero_dates_become_what_the_contract_says(
    pipeline: Pipeline, shard: str, arrive: Callable[[Pipeline, str], None]
) -> None:
    arrive(pipeline, shard)
    eventually(lambda: landed_count(pipeline, "old_dates", shard, len(ROWS)))
    names = ", ".join(f"toString({name})" for name in FIELDS)
    found = {
        row[0]: row[1:]
        for row in pipeline.landed(
            f"SELECT id, toString(since), {names} FROM base.old_dates WHERE _shard = '{shard}'"
        )
    }
    assert found[2] == (
        "1900-01-01",
        *[None] * 7,
        "1900-01-01 00:00:00.000000",
        "1970-01-01 00:00:00.000",
        "0",
    )
    assert found[3][1:5] == (None,) * 4
    assert found[3][8] == "1900-01-01 00:00:00.000000"
    assert found[1][1:] == (
        *FINE[:5],
        "2024-02-29 23:59:59.290000",
        "1901",
        "2024-02-29 00:00:00.500000",
        None,
        "2155",
    )
    assert pipeline.equal("old_dates", shards=(shard,))


def test_a_date_that_does_not_exist_is_a_dead_letter_and_its_neighbours_land(
    pipeline: Pipeline, shard: str
) -> None:
    invalid = {6: ("2024-01-01", ("2024-02-30", *FINE[1:]))}
    insert(pipeline, shard, {1: ROWS[1]})
    insert(pipeline, shard, invalid)
    insert(pipeline, shard, {7: ("2024-05-00", FINE)})
    insert(pipeline, shard, {8: ("2024-02-31", FINE)}, "sql_log_bin = 0")
    with mysql.cursor(pipeline.endpoints.mysql[0], shard) as cursor:
        cursor.execute("SET sql_mode = ''")
        cursor.execute(INSERT, ("2024-01-01", 9, *FINE, "0000-00-00"))
    assert pipeline.command("connectors", "snapshot", "old_dates", "--where", "id = 8").returncode == 0
    letters = eventually(lambda: len(found := dead_letters(pipeline, shard)) == 4 and found)
    expected = {
        6: "column day: the date does not exist",
        7: "column since: the date does not exist",
        8: "column since: the date does not exist",
        9: "column strict: a zero date, and its contract does not say what it becomes",
    }
    assert letters.keys() == expected.keys()
    assert [reason for key, reason in letters.items() if expected[key] not in reason] == []
    with mysql.cursor(pipeline.endpoints.mysql[0], shard) as cursor:
        cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES'")
        cursor.execute("UPDATE old_dates SET day = '2024-03-01' WHERE id = 6")
        cursor.execute("DELETE FROM old_dates WHERE id IN (7, 8, 9)")
    eventually(lambda: landed_count(pipeline, "old_dates", shard, 2))
    assert pipeline.equal("old_dates", shards=(shard,))


def test_a_row_is_deleted_although_its_date_does_not_exist(pipeline: Pipeline, shard: str) -> None:
    insert(pipeline, shard, {1: ROWS[1]})
    eventually(lambda: landed_count(pipeline, "old_dates", shard, 1))
    with mysql.cursor(pipeline.endpoints.mysql[0], shard) as cursor:
        cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES'")
        cursor.execute("UPDATE old_dates SET day = '2024-02-30'")
        cursor.execute("DELETE FROM old_dates")
    eventually(lambda: landed_count(pipeline, "old_dates", shard, 0))
    assert pipeline.equal("old_dates", shards=(shard,))


def dead_letters(pipeline: Pipeline, shard: str) -> dict[int, str]:
    """The reasons of this shard's dead letters, by the row's id."""
    decoder = RecordDecoder(Registry(pipeline.endpoints.registry).schema)
    letters = (
        (letter, decoder.decode(letter.value)) for letter in read(pipeline.endpoints.kafka, "cdc.old_dates")
    )
    return {
        (record["after"] or record["before"])["id"]: letter.reason
        for letter, record in letters
        if record["source"]["db"] == shard
    }
