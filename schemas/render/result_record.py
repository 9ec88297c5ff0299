"""Contract of a computed table -> the Avro schema of its records, as jobs write them; for results computed
without Flink."""

from __future__ import annotations

from typing import Any, assert_never

from core.errors import ContractError
from schemas import types as t
from schemas.names import avro_field, topic_of
from schemas.table import Column, Table

SOURCE = {
    "type": "record",
    "name": "Source",
    "fields": [
        {"name": "connector", "type": "string"},
        {"name": "db", "type": "string"},
        {"name": "ts_ms", "type": "long"},
        {"name": "snapshot", "type": ["null", "string"], "default": None},
        {"name": "file", "type": "string"},
        {"name": "pos", "type": "long"},
        {"name": "row", "type": "int"},
    ],
}


def envelope(table: Table) -> dict[str, Any]:
    """Returns the schema.

    Raises ContractError for a type that jobs cannot write (`schemas.render.flink_sink.sink_type`).
    """
    row = {"type": "record", "name": "Row", "fields": [_field(column) for column in table.columns]}
    fields = [
        {"name": "before", "type": ["null", row], "default": None},
        {"name": "after", "type": ["null", "Row"], "default": None},
        {"name": "source", "type": SOURCE},
        {"name": "op", "type": "string"},
    ]
    return {"type": "record", "name": "Envelope", "namespace": topic_of(table), "fields": fields}


def _field(column: Column) -> dict[str, Any]:
    kind = _avro(column.type)
    return {"name": avro_field(column.name), "type": ["null", kind] if column.nullable else kind}


def _avro(kind: t.Type) -> Any:
    match kind:
        case t.Int(bits) | t.UInt(bits):
            return "int" if bits < 32 else "long"
        case t.Bool() | t.Year():
            return "int"
        case t.Float(bits):
            return "float" if bits == 32 else "double"
        case t.Date():
            return {"type": "int", "logicalType": "date"}
        case t.DateTime(fraction) if fraction <= 3:
            return {"type": "long", "logicalType": "timestamp-millis"}
        case t.Decimal(precision, scale):
            return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}
        case t.Text() | t.Enum() | t.Set() | t.Json():
            return "string"
        case t.DateTime() | t.Timestamp() | t.Time() | t.Bit() | t.Binary():
            raise ContractError(
                f"jobs cannot write a column of type {type(kind).__name__}",
                "use DateTime(3), a number or text",
            )
        case _:
            assert_never(kind)
