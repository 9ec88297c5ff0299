"""Preflight tells everything that stands in the way, at once, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.preflight import Finding, inspect
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog
from schemas.table import Latest, Shards, Table, immutable
from switchboard.stack.plugins import CONVERTER
from tests.conftest import Space
from tests.pipeline import Pipeline


@pytest.fixture
def database(pipeline: Pipeline, space: Space) -> Iterator[str]:
    name = space.name("pre")
    pipeline.sql(f"CREATE DATABASE {name}")
    yield name
    pipeline.sql(f"DROP DATABASE {name}")


def findings(pipeline: Pipeline, database: str, table: str = "things", **how: Any) -> list[Finding]:
    columns = (immutable(1, "id", t.Int(), p.PUBLIC),)
    contract = Table(name=table, source=Shards(database), key=("id",), history=Latest(), columns=columns)
    return inspect(pipeline.endpoints.mysql, Catalog((contract,)), **how)


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
        ("fatal", "it has no primary key"),
        ("fatal", "columns 'a b' and 'a?b' become one field of the record"),
        ("warning", "column 'hint'"),
        ("warning", "foreign key 'things_ibfk_1' cascades"),
    }
    assert all(finding.remedy for finding in found)


def test_a_default_beside_null_is_no_fault_where_connect_has_our_converter(pipeline: Pipeline, database: str) -> None:
    pipeline.sql("CREATE TABLE things (id INT PRIMARY KEY, hint INT DEFAULT 3)", database=database)
    assert [finding.what.split(":")[0] for finding in findings(pipeline, database)] == ["column 'hint'"]
    assert findings(pipeline, database, converter=CONVERTER.provider) == []


def test_a_shard_that_is_put_aside_is_not_inspected(pipeline: Pipeline, database: str) -> None:
    pipeline.sql("CREATE TABLE things (id INT)", database=database)
    assert findings(pipeline, database)
    assert findings(pipeline, database, aside={("main", database)}) == []
