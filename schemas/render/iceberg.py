"""Contract -> the lake's schema, as the Iceberg REST catalog takes it.

A field's id is its column's, so a renamed column stays the same field. A catalog numbers the fields of a new table as
it likes: the schema is put in by the commit that follows (``add-schema``, ``set-current-schema``), which keeps the ids.

What Iceberg holds otherwise than MySQL:

- BIGINT UNSIGNED and BIT(64) become ``decimal(20,0)``, as Iceberg has no unsigned numbers; narrower ones take the next
  signed type that holds them. Widening INT UNSIGNED to BIGINT UNSIGNED is thereby no promotion that Iceberg knows.
- DECIMAL of more than 38 digits becomes ``string``, with all its digits: no number of Iceberg's holds them.
- TIME becomes ``long``, in microseconds: it is a signed duration of up to 838 hours, not a time of day.
- BOOLEAN becomes ``int``, as MySQL's holds any value of a TINYINT.
- DATETIME becomes ``timestamp`` (no zone), TIMESTAMP ``timestamptz``; both hold microseconds.
- BINARY(n) becomes ``binary``, as a ``fixed`` could not be widened.
"""

from __future__ import annotations

import re
from typing import Any, assert_never

from core.errors import ContractError
from schemas import types as t
from schemas.table import Table

FIRST_META_ID = 1_000_000
"""Contract columns have ids below; Iceberg keeps the ids near 2**31 for itself."""

META_FIELDS: tuple[tuple[str, str], ...] = (("_shard", "string"), ("_version", "long"), ("_deleted", "boolean"))
LARGEST_DECIMAL = 38


def table_name(table: Table) -> str:
    """As the catalog allows it: small letters, digits, ``_`` and ``-``."""
    return re.sub(r"[^a-z0-9_-]", "_", table.name.lower())


def schema(table: Table) -> dict[str, Any]:
    """The schema's JSON. Its identifier fields are the key and `_shard`, where Iceberg allows them to be.

    Raises ContractError if a column's id is not one that Iceberg can take.
    """
    _refuse_ids(table)
    meta = [_field(FIRST_META_ID + index, name, kind, required=True) for index, (name, kind) in enumerate(META_FIELDS)]
    columns = [_field(column.id, column.name, plain_type(column.type), required=not column.nullable) for column in table.columns]
    return {"type": "struct", "schema-id": 0, "identifier-field-ids": _identifiers(table), "fields": columns + meta}


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
            return f"decimal({precision}, {scale})" if precision <= LARGEST_DECIMAL else "string"
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
    """None for a table keyed by all columns, if one is nullable."""
    keys = [table.column(name) for name in table.key]
    return [*sorted(column.id for column in keys), FIRST_META_ID] if not any(column.nullable for column in keys) else []


def _refuse_ids(table: Table) -> None:
    wrong = [column.name for column in table.columns if not 0 < column.id < FIRST_META_ID]
    if wrong:
        raise ContractError(f"contract {table.name!r}: the ids of {', '.join(wrong)} are no field ids", f"use 1 to {FIRST_META_ID - 1}")
