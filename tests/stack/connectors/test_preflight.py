"""A real server is found to be what it is; how that is judged, `tests/unit/connectors/test_preflight.py`
tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from connectors.preflight import Finding, inspect
from core.clients import mysql
from core.settings import MySqlServer
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog
from schemas.table import Column, Latest, Shards, Table, immutable, required
from switchboard.stack.plugins import VALUE_CONVERTER
from tests.conftest import Space
from tests.pipeline import Pipeline


@pytest.fixture
def database(pipeline: Pipeline, space: Space) -> Iterator[str]:
    name = space.name("pre")
    pipeline.sql(f"CREATE DATABASE {name}")
    yield name
    pipeline.sql(f"DROP DATABASE {name}")


def findings(
    pipeline: Pipeline, database: str, table: str = "things", more: tuple[Column, ...] = (), **how: Any
) -> list[Finding]:
    columns = (immutable(1, "id", t.Int(), p.PUBLIC), *more)
    contract = Table(name=table, source=Shards(database), key=("id",), history=Latest(), columns=columns)
    servers = how.pop("servers", pipeline.endpoints.mysql)
    return inspect(servers, Catalog((contract,)), **how)


def read_as(pipeline: Pipeline, user: str) -> tuple[MySqlServer, ...]:
    """The servers, if the connector were to read as this user."""
    return tuple(server.model_copy(update={"cdc_user": user}) for server in pipeline.endpoints.mysql)


def test_a_fit_server_has_no_finding(pipeline: Pipeline, database: str) -> None:
    pipeline.sql("CREATE TABLE things (id INT PRIMARY KEY)", database=database)
    assert findings(pipeline, database) == []


def test_settings_that_lose_values_are_fatal(pipeline: Pipeline, database: str) -> None:
    pipeline.sql("SET GLOBAL binlog_row_image = MINIMAL")
    pipeline.sql("SET GLOBAL binlog_row_value_options = PARTIAL_JSON")
    try:
        found = findings(pipeline, database)
    finally:
        pipeline.sql("SET GLOBAL binlog_row_image = FULL")
        pipeline.sql("SET GLOBAL binlog_row_value_options = ''")
    assert [finding.severity for finding in found] == ["fatal", "fatal"]
    assert any("binlog_row_image is MINIMAL" in finding.what for finding in found)
    assert any("PARTIAL_JSON" in finding.what for finding in found)


def test_tables_are_inspected_all_at_once(pipeline: Pipeline, database: str) -> None:
    pipeline.sql("CREATE TABLE parents (id INT PRIMARY KEY)", database=database)
    pipeline.sql(
        "CREATE TABLE things (id INT, `a b` INT, `a?b` INT, hint INT DEFAULT 3, "
        "FOREIGN KEY (id) REFERENCES parents (id) ON DELETE CASCADE)",
        database=database,
    )
    found = findings(pipeline, database)
    assert {(finding.severity, finding.what.split(":")[0]) for finding in found} == {
        ("fatal", "nothing makes the contract's key (id) unique"),
        ("fatal", "columns 'a b' and 'a?b' become one field of the record"),
        ("warning", "column 'hint'"),
        ("warning", "foreign key 'things_ibfk_1' cascades"),
    }
    assert all(finding.remedy for finding in found)


def test_a_default_beside_null_is_no_fault_where_connect_has_our_converter(
    pipeline: Pipeline, database: str
) -> None:
    pipeline.sql("CREATE TABLE things (id INT PRIMARY KEY, hint INT DEFAULT 3)", database=database)
    assert [finding.what.split(":")[0] for finding in findings(pipeline, database)] == ["column 'hint'"]
    assert findings(pipeline, database, converter=VALUE_CONVERTER) == []


def test_a_quarantined_shard_is_not_inspected(pipeline: Pipeline, database: str) -> None:
    pipeline.sql("CREATE TABLE things (id INT)", database=database)
    assert findings(pipeline, database)
    assert findings(pipeline, database, quarantined={("main", database)}) == []


def test_a_key_that_is_not_unique_in_the_source_is_fatal(pipeline: Pipeline, database: str) -> None:
    pipeline.sql(
        "CREATE TABLE things (id INT NOT NULL, code INT NOT NULL, word VARCHAR(9) NOT NULL, UNIQUE "
        "(word(2)))",
        database=database,
    )
    (found,) = findings(pipeline, database)
    assert "nothing makes the contract's key (id) unique" in found.what
    pipeline.sql("ALTER TABLE things ADD PRIMARY KEY (code), ADD UNIQUE (id)", database=database)
    assert findings(pipeline, database) == []


def test_what_the_connector_s_user_may_do_is_seen_wherever_it_may_come_from(
    pipeline: Pipeline, database: str
) -> None:
    user = f"{database}_user"
    pipeline.sql("CREATE TABLE things (id INT PRIMARY KEY)", database=database)
    (absent,) = findings(pipeline, database, servers=read_as(pipeline, user))
    assert "there is no user" in absent.what
    pipeline.sql(f"CREATE USER '{user}'@'10.1.%'")
    pipeline.sql(f"CREATE ROLE '{user}_role'")
    try:
        pipeline.sql(f"GRANT RELOAD, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO '{user}_role'")
        pipeline.sql(f"GRANT '{user}_role' TO '{user}'@'10.1.%'")
        pipeline.sql(f"GRANT SELECT ON metadata.* TO '{user}'@'10.1.%'")
        (lacking,) = findings(pipeline, database, servers=read_as(pipeline, user))
        assert "lacks SELECT" in lacking.what
        assert lacking.remedy == f"GRANT SELECT ON *.* TO '{user}'@'10.1.%'"
        pipeline.sql(f"GRANT SELECT ON `{database}`.* TO '{user}'@'10.1.%'")
        assert findings(pipeline, database, servers=read_as(pipeline, user)) == []
    finally:
        pipeline.sql(f"DROP USER '{user}'@'10.1.%'")
        pipeline.sql(f"DROP ROLE '{user}_role'")


def test_zero_dates_are_found_in_the_time_that_there_is(pipeline: Pipeline, database: str) -> None:
    with mysql.cursor(pipeline.endpoints.mysql[0], database) as cursor:
        cursor.execute(
            "CREATE TABLE things (id INT PRIMARY KEY, born DATE NOT NULL, seen DATETIME NULL, fine DATE)"
        )
        cursor.execute("SET sql_mode = ''")
        cursor.execute(
            "INSERT INTO things VALUES (1, '2020-01-01', NULL, NULL), (2, '0000-00-00', NULL, '2020-02-29')"
        )
        cursor.execute("INSERT INTO things VALUES (3, '2020-01-01', '2020-00-00', NULL)")
    required_dates = (
        required(2, "born", t.Date(), p.PUBLIC),
        required(3, "seen", t.DateTime(), p.PUBLIC),
        required(4, "fine", t.Date(), p.PUBLIC),
    )
    assert [finding.what for finding in findings(pipeline, database, more=required_dates, seconds=30)] == [
        "column 'born' holds zero dates, whose rows become dead letters",
        "column 'seen' holds zero dates, whose rows become dead letters",
    ]
    optional_dates = tuple(replace(column, nullable=True) for column in required_dates)
    assert findings(pipeline, database, more=optional_dates, seconds=30) == []
    (unsearched,) = findings(pipeline, database)
    assert f"{database}.things" in unsearched.what
