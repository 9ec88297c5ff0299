"""Contract and record schema -> the query that lands raw Avro records in ClickHouse.

The lander writes ``offset, partition, frame, datum, offset`` for each record; ClickHouse reads the envelope
natively.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import assert_never

from core.errors import ContractError
from schemas import types as t
from schemas.names import avro_field, ch_name, ch_string
from schemas.render import zero_dates
from schemas.render.avro import AvroSchema, Field, row_fields, structure
from schemas.render.clickhouse import META_COLUMNS, column_type, plain_type, storage_table
from schemas.table import Column, Table

SWITCHBOARD_CONNECTOR = "switchboard"
"""`source.connector` of the platform's own records: compare-and-deletes."""

SETTINGS = (
    "max_partitions_per_insert_block = 0, async_insert = 0, max_insert_threads = 1, max_insert_block_size = "
    "8192, "
    "optimize_on_insert = 0, prefer_column_name_to_alias = 1"
)
"""Small blocks stay in the processor's caches; replaced rows are left to merges, which saves an insert a
sixth of its time. The last setting is for tables with a column of the same name as a field of the envelope.
"""

ENVELOPE_COLUMNS = ("before", "after", "source", "op")


def block_schema(envelope: AvroSchema) -> AvroSchema:
    """Returns the record's schema between its Kafka coordinates; `_frame` is the Confluent header, which
    stays in place."""
    wrapped = copy.deepcopy(envelope)
    wrapped["fields"] = [
        {"name": "_offset", "type": "long"},
        {"name": "_partition", "type": "int"},
        {"name": "_frame", "type": {"type": "fixed", "name": "_Frame", "size": 5}},
        *wrapped["fields"],
        {"name": "_offset_again", "type": "long"},
    ]
    return wrapped


def version_expression(generation: int) -> str:
    """``generation << 48 | offset << 1``; a compare-and-delete has the version that it observed, and replaces
    only that one."""
    return (
        f"if(source.connector = {ch_string(SWITCHBOARD_CONNECTOR)}, bitOr(toUInt64(source.pos), 1), "
        f"bitOr(toUInt64({generation << 48}), bitShiftLeft(toUInt64(_offset), 1)))"
    )


def landing_query(table: Table, envelope: AvroSchema, generation: int) -> str:
    """Returns the INSERT for one block of `block_schema(envelope)`.

    A required column that the record's schema lacks gets its type's default, as in a row from before it was
    added. Raises ContractError if that column is part of the storage key.
    """
    fields = {item.name: item for item in row_fields(envelope)}
    storage_key = {*table.key, *storage_key_columns(table)}
    missing = storage_key & {column.name for column in missing_required_columns(table, envelope)}
    if missing:
        raise ContractError(
            f"table {table.name!r}: the record's schema lacks {', '.join(map(repr, sorted(missing)))}, a "
            "column of its storage key",
            "the source dropped or renamed it: change the contract's key or order, and apply",
        )
    rendered = [
        _render(column, fields.get(avro_field(column.name)), in_key=column.name in storage_key)
        for column in table.columns
    ]
    values = [
        f"    {item.value} AS {ch_name(column.name)}"
        for column, item in zip(table.columns, rendered, strict=True)
    ]
    values += [f"    {expression} AS {name}" for name, expression in _meta(generation).items()]
    checks = [
        "throwIf(_offset != _offset_again, 'the record was split at a wrong offset')",
        "throwIf(isNull(row_image), 'the record has no row image')",
        *(check for item in rendered for check in item.checks),
    ]
    names = ", ".join(ch_name(name) for name in (*table.names, *(name for name, _ in META_COLUMNS)))
    return "\n".join(
        [
            f"INSERT INTO {storage_table(table)} ({names})",
            "SELECT",
            ",\n".join(values),
            f"FROM (SELECT *, {_is_delete(table)} AS is_delete, if(is_delete, before, after) AS row_image",
            f"    FROM input({ch_string(_structure(envelope))}))",
            "WHERE " + "\n  AND ".join(f"{check} = 0" for check in checks),
            f"SETTINGS {SETTINGS}",
            "FORMAT Avro",
        ]
    )


def tombstone_query(table: Table, generation: int) -> str:
    """Returns the INSERT of deletes that have only a key, as JSON in ``key``, with ``_partition`` and
    ``_offset``."""
    keys = {name: table.column(name) for name in table.key}
    values = {
        ch_name(name): f"JSONExtract(key, {ch_string(name)}, {ch_string(_json_type(column))})"
        for name, column in keys.items()
    }
    values |= {
        "_shard": "''",
        "_partition": "_partition",
        "_offset": "_offset",
        "_version": f"bitOr(toUInt64({generation << 48}), bitShiftLeft(_offset, 1))",
        "_deleted": "1",
        "_committed_at": "now64(3, 'UTC')",
        "_landed_at": "now64(3, 'UTC')",
    }
    return "\n".join(
        [
            f"INSERT INTO {storage_table(table)} ({', '.join(values)})",
            "SELECT " + ", ".join(values.values()),
            "FROM input('key String, _partition UInt32, _offset UInt64')",
            f"SETTINGS {SETTINGS}",
            "FORMAT JSONEachRow",
        ]
    )


def _json_type(column: Column) -> str:
    return plain_type(column.type).replace("LowCardinality(String)", "String")


def missing_required_columns(table: Table, envelope: AvroSchema) -> tuple[Column, ...]:
    """Returns the required columns that the record's schema does not have."""
    names = {item.name for item in row_fields(envelope)}
    return tuple(
        column for column in table.columns if not column.nullable and avro_field(column.name) not in names
    )


def storage_key_columns(table: Table) -> tuple[str, ...]:
    """Returns the sorting and partition columns that are not in the key: an update of one moves the row."""
    partition = table.clickhouse.partition_by
    names = (*table.order_by, *([partition.column] if partition is not None else []))
    return tuple(dict.fromkeys(name for name in names if name not in table.key))


def _structure(envelope: AvroSchema) -> str:
    tops = {item["name"]: item["type"] for item in envelope["fields"]}
    named: dict[str, object] = {}
    shown = [f"{name} {structure(tops[name], named)}" for name in tops if name in ENVELOPE_COLUMNS]
    return ", ".join(["_offset Int64", "_partition Int32", *shown, "_offset_again Int64"])


def _is_delete(table: Table) -> str:
    """Returns an expression: 1 for a delete.

    An update that moves a row also deletes it at its old storage key: two rows of one record.
    """
    columns = storage_key_columns(table)
    if not columns:
        return "toUInt8(op = 'd')"
    moved = " OR ".join(
        f"ifNull(tupleElement(before, {name}) != tupleElement(after, {name}), 0)"
        for name in (ch_string(avro_field(column)) for column in columns)
    )
    return f"arrayJoin(if(op = 'u' AND ({moved}), [1, 0], [toUInt8(op = 'd')]))"


def _meta(generation: int) -> dict[str, str]:
    return {
        "_shard": "source.db",
        "_partition": "toUInt32(_partition)",
        "_offset": "toUInt64(_offset)",
        "_version": version_expression(generation),
        "_deleted": "is_delete",
        "_committed_at": "fromUnixTimestamp64Milli(source.ts_ms, 'UTC')",
        "_file": "source.file",
        "_pos": "toUInt64(source.pos)",
        "_row": "toUInt32(source.row)",
        "_landed_at": "now64(3, 'UTC')",
    }


@dataclass(frozen=True)
class _Value:
    value: str
    checks: tuple[str, ...] = field(default=())


def _render(column: Column, writer: Field | None, *, in_key: bool) -> _Value:
    """`in_key` if the column is part of the storage key."""
    if writer is None:
        return _Value(
            "NULL" if column.nullable else f"defaultValueOfTypeName({ch_string(column_type(column))})"
        )
    raw = f"tupleElement(row_image, {ch_string(writer.name)})"
    rendered = _existent(column, writer, raw)
    if isinstance(column.type, t.Year):
        zero = zero_dates.replacement(column, column_type(column))
        return replace(rendered, value=f"if({raw} < 0, {zero}, {rendered.value})")
    if isinstance(column.type, t.Dated) and zero_dates.can_be_nonexistent(writer):
        return _with_zero_dates(column, writer, raw, rendered, in_key=in_key)
    return rendered


def _with_zero_dates(column: Column, writer: Field, raw: str, rendered: _Value, *, in_key: bool) -> _Value:
    """Zero dates are replaced; other dates that do not exist are refused, but for a row that is deleted."""
    nonexistent = zero_dates.is_nonexistent(writer, raw)
    refused = nonexistent if in_key else f"{nonexistent} AND NOT is_delete"
    if zero_dates.is_replaced(column):
        refused += f" AND NOT {zero_dates.is_zero(writer, raw, exactly=in_key)}"
    check = f"throwIf(ifNull({refused}, 0), {ch_string(zero_dates.refusal(column))})"
    zero = zero_dates.replacement(column, column_type(column))
    return _Value(f"if({nonexistent}, {zero}, {rendered.value})", (*rendered.checks, check))


def _existent(column: Column, writer: Field, raw: str) -> _Value:
    target = column_type(column)
    exact, converted = _converted(column.type, writer, raw)
    value = f"{exact}({converted}, {ch_string(target)})"
    if not _may_lose(column.type, writer):
        return _Value(value)
    fits = f"ifNull(CAST({value}, {ch_string(f'Nullable({_wide_type(writer)})')}) != {_wide(writer, raw)}, 0)"
    message = ch_string(f"column {column.name}: the value does not fit {plain_type(column.type)}")
    return _Value(value, (f"throwIf({fits}, {message})",))


def _converted(kind: t.Type, writer: Field, raw: str) -> tuple[str, str]:
    """Returns (casting function, expression to cast). accurateCast raises if a number does not fit."""
    match kind:
        case t.UInt(64) if writer.avro == "long":
            return "CAST", f"toUInt64({raw})"
        case t.Year():
            return _integer_cast(kind, writer), f"if({raw} < 0, 0, {raw})"
        case t.Int() | t.UInt() | t.Bool():
            return _integer_cast(kind, writer), raw
        case t.Decimal() | t.Float() | t.Time():
            return "CAST", raw
        case t.Date():
            return "CAST", raw
        case t.DateTime() | t.Timestamp():
            return "CAST", _wide(writer, raw)
        case t.Text() | t.Enum() | t.Set() | t.Json():
            return "CAST", raw
        case t.Bit():
            return "CAST", f"reinterpretAsUInt64({raw})" if writer.avro == "bytes" else f"toUInt64({raw})"
        case t.Binary(length):
            return "CAST", raw if length is None else f"rightPad({raw}, {length}, char(0))"
        case _:
            assert_never(kind)


def _integer_cast(kind: t.Type, writer: Field) -> str:
    fits = {"int": ("Int32", "Int64"), "long": ("Int64",), "boolean": ("Int8", "Int16", "Int32", "Int64")}
    return "CAST" if plain_type(kind) in fits.get(writer.avro, ()) else "accurateCast"


def _may_lose(kind: t.Type, writer: Field) -> bool:
    """Whether the cast could round silently, so that the result must be compared with the record's value."""
    match kind:
        case t.Decimal(precision, scale):
            known = writer.logical == "decimal"
            return not known or writer.scale > scale or writer.precision - writer.scale > precision - scale
        case t.Float(bits):
            return bits == 32 and writer.avro == "double"
        case t.DateTime(fraction) | t.Timestamp(fraction):
            return fraction < _fraction(writer)
        case _:
            return False


def _fraction(writer: Field) -> int:
    """Returns the digits of a second of this field's type."""
    by_logical = {
        "io.debezium.time.Timestamp": 3,
        "io.debezium.time.MicroTimestamp": 6,
        "io.debezium.time.ZonedTimestamp": 6,
        "timestamp-millis": 3,
        "local-timestamp-millis": 3,
    }
    if writer.logical not in by_logical:
        raise ContractError(
            f"column {writer.name!r}: {writer.logical or writer.avro} is not a date with time",
            "correct the column's type",
        )
    return by_logical[writer.logical]


def _wide_type(writer: Field) -> str:
    if writer.logical == "decimal":
        return f"Decimal({writer.precision}, {writer.scale})"
    if writer.logical.startswith("io.debezium.time.") or writer.logical.endswith("timestamp-millis"):
        return f"DateTime64({_fraction(writer)}, 'UTC')"
    return "Float64"


def _wide(writer: Field, raw: str) -> str:
    """Returns an expression for the field's value in full precision."""
    match writer.logical:
        case "io.debezium.time.Timestamp" | "timestamp-millis" | "local-timestamp-millis":
            return f"fromUnixTimestamp64Milli({raw}, 'UTC')"
        case "io.debezium.time.MicroTimestamp":
            return f"fromUnixTimestamp64Micro({raw}, 'UTC')"
        case "io.debezium.time.ZonedTimestamp":
            text = zero_dates.existent(writer, raw)
            if not writer.nullable:
                return f"parseDateTime64BestEffort({text}, 6, 'UTC')"
            # A function is also evaluated on the value behind a NULL, and fails for the empty text there.
            return (
                f"if(isNull({raw}), NULL, parseDateTime64BestEffort(ifNull({text}, '1970-01-01'), 6, 'UTC'))"
            )
        case _:
            return raw
