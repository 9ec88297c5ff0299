"""Contract -> the lake's schema, for the Iceberg REST catalog.

A field's id is its column's, so a renamed column stays the same field. A catalog may renumber the fields of a
new table: the schema is set by a second commit (``add-schema``, ``set-current-schema``), which keeps the ids.

Types that differ from MySQL's:

- BIGINT UNSIGNED and BIT(64) become ``decimal(20,0)``, as Iceberg has no unsigned numbers; narrower ones
  become the next larger signed type. Widening INT UNSIGNED to BIGINT UNSIGNED is then no type promotion of
  Iceberg.
- DECIMAL of more than 38 digits becomes ``string``, with all its digits, as Iceberg has no such number.
- TIME becomes ``long``, in microseconds: it is a signed duration of up to 838 hours, not a time of day.
- BOOLEAN becomes ``int``, as MySQL's can have any value of a TINYINT.
- DATETIME becomes ``timestamp`` (no zone), TIMESTAMP ``timestamptz``; both in microseconds.
- BINARY(n) becomes ``binary``, as a ``fixed`` cannot be widened.
"""

from __future__ import annotations

import re
from typing import Any, assert_never

from core.errors import ContractError
from schemas import types as t
from schemas.table import Table

FIRST_META_ID = 1_000_000
"""Contract columns have smaller ids; Iceberg reserves the ids near 2**31."""

META_FIELDS: tuple[tuple[str, str], ...] = (
    ("_shard", "string"),
    ("_version", "long"),
    ("_deleted", "boolean"),
)
MAX_DECIMAL_DIGITS = 38


def table_name(table: Table) -> str:
    """Returns a name that the catalog allows: lower-case letters, digits, ``_`` and ``-``."""
    return re.sub(r"[^a-z0-9_-]", "_", table.name.lower())


def schema(table: Table) -> dict[str, Any]:
    """Returns the schema's JSON. Its identifier fields are the key and `_shard`, if Iceberg allows that.

    Raises ContractError if a column's id is not a valid field id.
    """
    _refuse_ids(table)
    meta = [
        _field(FIRST_META_ID + index, name, kind, required=True)
        for index, (name, kind) in enumerate(META_FIELDS)
    ]
    columns = [
        _field(column.id, column.name, plain_type(column.type), required=not column.nullable)
        for column in table.columns
    ]
    return {
        "type": "struct",
        "schema-id": 0,
        "identifier-field-ids": _identifiers(table),
        "fields": columns + meta,
    }


def plain_type(kind: t.Type) -> str:
    match kind:
        case t.Int(bits):
            return "long" if bits == 64 else "int"
        case t.UInt(64) | t.Bit(64):
            return "decimal(20, 0)"
        case t.UInt(32) | t.Bit() | t.Time():
            return "long"
        case t.UInt() | t.Bool() | t.Year():
            return "int"
        case t.Decimal(precision, scale):
            return f"decimal({precision}, {scale})" if precision <= MAX_DECIMAL_DIGITS else "string"
        case t.Float(bits):
            return "float" if bits == 32 else "double"
        case t.Date():
            return "date"
        case t.DateTime():
            return "timestamp"
        case t.Timestamp():
            return "timestamptz"
        case t.Text() | t.Enum() | t.Set() | t.Json():
            return "string"
        case t.Binary():
            return "binary"
        case _:
            assert_never(kind)


def _field(id: int, name: str, kind: str, *, required: bool) -> dict[str, Any]:
    return {"id": id, "name": name, "required": required, "type": kind}


def _identifiers(table: Table) -> list[int]:
    """Returns an empty list for a table keyed by all columns, if one is nullable."""
    keys = [table.column(name) for name in table.key]
    return (
        [*sorted(column.id for column in keys), FIRST_META_ID]
        if not any(column.nullable for column in keys)
        else []
    )


def _refuse_ids(table: Table) -> None:
    wrong = [column.name for column in table.columns if not 0 < column.id < FIRST_META_ID]
    if wrong:
        raise ContractError(
            f"contract {table.name!r}: the ids of {', '.join(wrong)} are invalid",
            f"use 1 to {FIRST_META_ID - 1}",
        )
