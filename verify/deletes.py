"""Compare-and-deletes: the records that remove a row which only ClickHouse has.

They are written to the table's own topic, with Debezium's key bytes and envelope. `source.pos` carries the
observed version; the record lands with version ``observed | 1``, which replaces exactly that row and nothing
newer.
"""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, assert_never

import fastavro

from core.clock import EPOCH
from core.errors import ContractError
from core.wire import confluent
from schemas import types as t
from schemas.names import avro_field
from schemas.render.avro import AvroSchema, Field, row_fields
from schemas.render.landing import SWITCHBOARD_CONNECTOR
from schemas.table import Column, Table
from verify.results import Values


def key_bytes(table: Table, values: Values, shard: str) -> bytes:
    """The record key as Debezium's JsonConverter encodes it: the contract's key columns in order, then the
    shard."""
    named = dict(zip(table.names, values, strict=True))
    members = {avro_field(name): _json_value(table.column(name), named[name]) for name in table.key}
    return _jackson({**members, "_shard": shard}).encode()


def _json_value(column: Column, text: bytes | None) -> Any:
    if text is None:
        return None
    match column.type:
        case t.Int() | t.UInt() | t.Bool() | t.Year() | t.Date() | t.Time():
            return _signed(int(text))
        case t.DateTime(fraction):
            return int(text) // 1000 if fraction <= 3 else int(text)
        case t.Timestamp():
            return zoned(int(text))
        case t.Text() | t.Enum() | t.Set():
            return text.decode()
        case t.Decimal(_, scale):
            return _base64(_unscaled(Decimal(text.decode()), scale))
        case t.Bit(length):
            return text == b"1" if length == 1 else _base64(_bits(int(text), length))
        case t.Binary():
            return _base64(text)
        case t.Float() | t.Json():
            raise ContractError(
                f"column {column.name!r} cannot be part of a key", "correct the contract's file"
            )
        case _:
            assert_never(column.type)


def zoned(micros: int) -> str:
    """``io.debezium.time.ZonedTimestamp``: no zeros at the end of the fraction, and none at all for whole
    seconds."""
    moment = EPOCH + dt.timedelta(microseconds=micros)
    fraction = f".{moment.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _signed(value: int) -> int:
    """BIGINT UNSIGNED is encoded as a signed long that wraps."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _unscaled(value: Decimal, scale: int) -> bytes:
    """As Java's BigInteger: the fewest bytes of two's complement, big-endian."""
    number = int(value.scaleb(scale))
    return number.to_bytes((number if number >= 0 else ~number).bit_length() // 8 + 1, "big", signed=True)


def _bits(value: int, length: int) -> bytes:
    return value.to_bytes(-(-length // 8), "little")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _jackson(value: Mapping[str, Any]) -> str:
    """Compact JSON as Jackson writes it: control characters without a short escape have upper-case hex
    digits."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for code in range(0x20):
        text = text.replace(f"\\u{code:04x}", f"\\u{code:04X}") if code % 16 > 9 else text
    return text


def delete_record(
    schema_id: int, envelope: AvroSchema, table: Table, values: Values, shard: str, version: int, now_ms: int
) -> bytes:
    """The record value in the registry's wire format.

    `before` holds the key, sorting and partition columns; every other field is null or zero.
    """
    source = {
        "connector": SWITCHBOARD_CONNECTOR,
        "name": SWITCHBOARD_CONNECTOR,
        "db": shard,
        "table": table.name,
        "pos": version,
        "ts_ms": now_ms,
        "snapshot": "false",
    }
    tops = {field["name"]: field["type"] for field in envelope["fields"]}
    record = {
        **{name: _zero(kind) for name, kind in tops.items()},
        "before": _before(envelope, table, values),
        "after": None,
        "op": "d",
        "ts_ms": now_ms,
        "source": {**_zero(tops["source"]), **source},
    }
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(envelope), record)
    return confluent.frame(schema_id, out.getvalue())


def _before(envelope: AvroSchema, table: Table, values: Values) -> dict[str, Any]:
    storage_key = {*table.key, *table.order_by}
    if table.clickhouse.partition_by is not None:
        storage_key.add(table.clickhouse.partition_by.column)
    named = {avro_field(name): (table.column(name), values[table.names.index(name)]) for name in storage_key}
    tops = {field["name"]: field["type"] for field in envelope["fields"]}
    row = next(member for member in tops["before"] if member != "null")
    before = dict(_zero(row))
    for field in row_fields(envelope):
        if field.name in named:
            column, text = named[field.name]
            before[field.name] = None if text is None else _avro_value(column, field, text)
    return before


def _avro_value(column: Column, field: Field, text: bytes) -> Any:
    """Converts a canonical text to the Avro type of the record's field."""
    match field.logical:
        case "decimal":
            return Decimal(text.decode())
        case "io.debezium.time.Timestamp":
            return int(text) // 1000
        case "io.debezium.time.ZonedTimestamp":
            return zoned(int(text))
        case "io.debezium.data.Bits":
            return _bits(int(text), column.type.length if isinstance(column.type, t.Bit) else 64)
    match field.avro:
        case "int" | "long":
            return _signed(int(text))
        case "float" | "double":
            return float(text)
        case "boolean":
            return text != b"0"
        case "bytes":
            return text
        case _:
            return text.decode()


def _zero(schema: Any) -> Any:
    """Null if the schema allows it, else the type's zero value. Connect's schemas define no named types."""
    if isinstance(schema, list):
        return None if "null" in schema else _zero(schema[0])
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(schema, dict) and schema.get("logicalType") == "decimal":
        return Decimal(0)
    if isinstance(schema, dict) and schema.get("connect.name") == "io.debezium.time.ZonedTimestamp":
        return zoned(0)  # landing has to be able to parse it
    zeros = {"string": "", "bytes": b"", "boolean": False, "int": 0, "long": 0, "float": 0.0, "double": 0.0}
    if kind in zeros:
        return zeros[kind]
    if kind == "record":
        return {field["name"]: _zero(field["type"]) for field in schema["fields"]}
    if kind == "enum":
        return schema["symbols"][0]
    return {"array": [], "map": {}}.get(kind, b"")
