from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest

from schemas import privacy as p
from schemas import types as t
from schemas.table import ClickHouse, Latest, Month, Shards, Table, immutable, optional
from verify.deletes import _zero, delete_record, key_bytes, zoned

TABLE = Table(
    "odd-name",
    Shards("*"),
    ("id", "code"),
    Latest(),
    (
        immutable(1, "id", t.UInt(64), p.PUBLIC),
        immutable(2, "code", t.Text(), p.PUBLIC),
        immutable(3, "started at", t.DateTime(3), p.PUBLIC),
        optional(4, "cost", t.Decimal(18, 4), p.PUBLIC),
    ),
    clickhouse=ClickHouse(partition_by=Month("started at")),
)
ROW = {
    "type": "record",
    "name": "Value",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "code", "type": "string"},
        {"name": "started_at", "type": {"type": "long", "connect.name": "io.debezium.time.Timestamp"}},
        {"name": "cost", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}},
        {"name": "extra", "type": ["null", "string"], "default": None},
    ],
}
SOURCE = {
    "type": "record",
    "name": "Source",
    "fields": [
        *({"name": name, "type": "string"} for name in ("version", "connector", "name", "db", "file")),
        *({"name": name, "type": "long"} for name in ("ts_ms", "pos", "server_id")),
        {"name": "row", "type": "int"},
        {"name": "snapshot", "type": [{"type": "string"}, "null"], "default": "false"},
    ],
}
ENVELOPE: dict[str, Any] = {
    "type": "record",
    "name": "Envelope",
    "namespace": "cdc.odd",
    "fields": [
        {"name": "before", "type": ["null", ROW], "default": None},
        {"name": "after", "type": ["null", "Value"], "default": None},
        {"name": "source", "type": SOURCE},
        {"name": "op", "type": "string"},
        {"name": "ts_ms", "type": ["null", "long"], "default": None},
    ],
}
VALUES = (b"18446744073709551615", 'é"\x1f\n'.encode(), b"1500000", b"1.5000")


def test_the_record_names_the_row_and_the_version_that_was_seen() -> None:
    value = delete_record(7, ENVELOPE, TABLE, VALUES, "acc_1", 1 << 48 | 8, 99)
    assert value[:5] == b"\x00\x00\x00\x00\x07"
    record: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), ENVELOPE, None)
    assert (record["op"], record["after"]) == ("d", None)
    assert {name: record["source"][name] for name in ("connector", "db", "pos", "ts_ms")} == {
        "connector": "switchboard",
        "db": "acc_1",
        "pos": 1 << 48 | 8,
        "ts_ms": 99,
    }
    assert record["before"] == {"id": -1, "code": 'é"\x1f\n', "started_at": 1500, "cost": 0, "extra": None}


def test_the_key_has_the_bytes_that_debezium_writes() -> None:
    assert key_bytes(TABLE, VALUES, "acc_1") == '{"id":-1,"code":"é\\"\\u001F\\n","_shard":"acc_1"}'.encode()


def key_of(kind: t.Type, text: bytes) -> bytes:
    table = Table("t", Shards("*"), ("k",), Latest(), (immutable(1, "k", kind, p.PUBLIC),))
    return key_bytes(table, (text,), "s")


@pytest.mark.parametrize(
    ("kind", "text", "encoded"),
    [
        (t.Date(), b"-1", "-1"),
        (t.DateTime(3), b"1500000", "1500"),
        (t.DateTime(6), b"1500000", "1500000"),
        (t.Timestamp(6), b"1500000", '"1970-01-01T00:00:01.5Z"'),
        (t.Decimal(9, 2), b"-1.28", '"gA=="'),
        (t.Decimal(9, 2), b"1.28", '"AIA="'),
        (t.Bit(1), b"1", "true"),
        (t.Binary(), b"\x00\xff", '"AP8="'),
    ],
)
def test_a_key_of_any_type(kind: t.Type, text: bytes, encoded: str) -> None:
    assert key_of(kind, text) == f'{{"k":{encoded},"_shard":"s"}}'.encode()


def test_an_instant_has_no_zeros_at_its_end() -> None:
    assert [zoned(micros) for micros in (0, 100_000, 1)] == [
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00.1Z",
        "1970-01-01T00:00:00.000001Z",
    ]


def test_a_required_timestamp_is_given_as_a_text_that_landing_can_parse() -> None:
    assert (
        _zero({"type": "string", "connect.name": "io.debezium.time.ZonedTimestamp"}) == "1970-01-01T00:00:00Z"
    )
