"""Values that snapshots and the binlog return in different forms land the same by both."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.clients import mysql
from tests.conftest import Space
from tests.contracts.odd_values import CHARSETS
from tests.pipeline import Pipeline, eventually
from tests.stack.consumers.test_landing import landed_count

MEMBERS = ("x,y", "it's", "a\\b", "\\,", "(", "'", "é", "")
DOCUMENTS = (
    "CAST('10:11:12.5' AS TIME(6))",
    "CAST('-838:59:59' AS TIME)",
    "CAST('2024-02-29' AS DATE)",
    "CAST('2024-02-29 10:11:12' AS DATETIME)",
    "CAST('2024-02-29 10:11:12.000001' AS DATETIME(6))",
    "1.50",
    "1e100",
    "18446744073709551615",
    "CAST(x'00ff' AS BINARY)",
    "CAST(REPEAT(x'00ff', 100) AS BINARY)",
    "b'101'",
    "CAST('-00:00:00.000001' AS TIME(6))",
    "CAST(2024 AS YEAR)",
    "'a \\\\ b \" c \\n é 😀'",
    "NULL",
    "TRUE",
    "JSON_ARRAY(1, JSON_OBJECT('', CAST('00:00:00' AS TIME)))",
)
TEXTS = tuple(
    "".join(map(chr, range(first, last)))
    for first, last in (
        (0x01, 0x80),
        (0x80, 0x180),
        (0x180, 0x250),
        (0x370, 0x500),
        (0x530, 0x6FF),
        (0xE01, 0xE5C),
        (0x10D0, 0x1100),
        (0x2010, 0x2070),
        (0x20A0, 0x20C0),
        (0x2100, 0x2340),
        (0x2460, 0x2670),
        (0x3000, 0x3400),
        (0x4E00, 0x4F00),
        (0xAC00, 0xAD00),
        (0xFF00, 0xFFF0),
        (0x1F600, 0x1F640),
    )
)
"""Characters of every script that MySQL has a character set for; the others become question marks."""


def make(pipeline: Pipeline, shard: str) -> None:
    pipeline.sql(f"CREATE DATABASE {shard}")
    columns = ", ".join(f"`{name}` TEXT CHARACTER SET {name}" for name in CHARSETS)
    members = ", ".join(quoted(member) for member in MEMBERS)
    pipeline.sql(
        f"CREATE TABLE odd_values (id BIGINT PRIMARY KEY, choice ENUM({members}), document JSON, {columns})",
        database=shard,
    )


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def fill(pipeline: Pipeline, shard: str, *settings: str) -> int:
    with mysql.cursor(pipeline.endpoints.mysql[0], shard) as cursor:
        for setting in ("sql_mode = ''", *settings):
            cursor.execute(f"SET SESSION {setting}")
        for number in range(1, len(MEMBERS) + 1):
            cursor.execute(f"INSERT INTO odd_values (id, choice) VALUES ({number}, {number})")
        for number, document in enumerate(DOCUMENTS, 100):
            cursor.execute(
                f"INSERT INTO odd_values (id, document) VALUES ({number}, JSON_OBJECT('v', {document}))"
            )
        names = ", ".join(f"`{name}`" for name in CHARSETS)
        for number, text in enumerate(TEXTS, 200):
            values = ", ".join(["%s"] * len(CHARSETS))
            cursor.execute(
                f"INSERT INTO odd_values (id, {names}) VALUES ({number}, {values})", [text] * len(CHARSETS)
            )
    return len(MEMBERS) + len(DOCUMENTS) + len(TEXTS)


def by_stream(pipeline: Pipeline, shard: str) -> int:
    return fill(pipeline, shard)


def by_snapshot(pipeline: Pipeline, shard: str) -> int:
    rows = fill(pipeline, shard, "sql_log_bin = 0")
    assert pipeline.command("connectors", "snapshot", "odd_values").returncode == 0
    return rows


@pytest.mark.parametrize("arrive", [by_stream, by_snapshot])
def test_odd_values_are_equal(
    pipeline: Pipeline, space: Space, arrive: Callable[[Pipeline, str], int]
) -> None:
    shard = space.name("values")
    make(pipeline, shard)
    rows = arrive(pipeline, shard)
    eventually(lambda: landed_count(pipeline, "odd_values", shard, rows))
    assert pipeline.equal("odd_values", shards=(shard,))
