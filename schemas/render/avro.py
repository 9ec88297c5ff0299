"""The record's schema, as its writer registered it: its columns and their Avro types.

Kafka Connect names a column's meaning in ``connect.name`` (``io.debezium.time.Date``); Avro's own types are
too few.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import ContractError
from schemas import privacy as p
from schemas import types as t
from schemas.names import avro_field, ch_name
from schemas.table import RESERVED, Column, Table

AvroSchema = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """One column of the record.

    `avro` is its type without null; `logical` is ``connect.name`` or the logical type.
    """

    name: str
    avro: str
    logical: str
    nullable: bool
    precision: int = 0
    scale: int = 0


def row_fields(envelope: AvroSchema) -> tuple[Field, ...]:
    """Returns the columns of the row image. Raises ContractError if this is not a Debezium envelope."""
    tops = {field["name"]: field["type"] for field in envelope.get("fields", ())}
    if not {"before", "after", "source", "op"} <= tops.keys():
        raise ContractError(
            f"schema {envelope.get('name')!r} is not a change record: it lacks before, after, source or op",
            "only change topics of Switchboard's connectors can be landed",
        )
    row, _ = _without_null(tops["before"])
    return tuple(_field(field) for field in row["fields"])


def structure(schema: Any, named: dict[str, Any] | None = None) -> str:
    """Returns the ClickHouse type in which an Avro schema is read."""
    named = {} if named is None else named
    inner, nullable = _without_null(schema)
    if isinstance(inner, str) and inner in named:
        inner = named[inner]
    if isinstance(inner, dict) and inner.get("type") == "array":
        # ClickHouse has no nullable array, and reads null as an empty one
        return f"Array({structure(inner['items'], named)})"
    if isinstance(inner, dict) and inner.get("type") == "record":
        _register(inner, named)
        members = ", ".join(
            f"{ch_name(field['name'])} {structure(field['type'], named)}" for field in inner["fields"]
        )
        text = f"Tuple({members})"
    else:
        text = _scalar(inner)
    return f"Nullable({text})" if nullable else text


def _register(record: dict[str, Any], named: dict[str, Any]) -> None:
    named[record["name"]] = record
    if "namespace" in record:
        named[f"{record['namespace']}.{record['name']}"] = record


def _scalar(schema: Any) -> str:
    field = _field({"name": "", "type": schema})
    if field.logical == "decimal":
        return f"Decimal({field.precision}, {field.scale})"
    plain = {
        "boolean": "Bool",
        "int": "Int32",
        "long": "Int64",
        "float": "Float32",
        "double": "Float64",
        "string": "String",
        "bytes": "String",
        "enum": "String",
    }
    if field.avro not in plain:
        raise ContractError(
            f"Avro type {field.avro!r} cannot be landed", "exclude the column or change its type"
        )
    return plain[field.avro]


def _field(field: dict[str, Any]) -> Field:
    inner, nullable = _without_null(field["type"])
    if isinstance(inner, str):
        return Field(field["name"], inner, "", nullable)
    logical = inner.get("logicalType") or inner.get("connect.name", "")
    return Field(
        field["name"], inner["type"], logical, nullable, inner.get("precision", 0), inner.get("scale", 0)
    )


def _without_null(schema: Any) -> tuple[Any, bool]:
    if not isinstance(schema, list):
        return schema, False
    others = [member for member in schema if member != "null"]
    if len(others) != 1:
        raise ContractError(f"a union of {len(others)} types cannot be landed", "only a type and null can be")
    return others[0], len(others) != len(schema)


def unknown_fields(table: Table, fields: tuple[Field, ...]) -> tuple[Field, ...]:
    known = {avro_field(name) for name in table.names}
    return tuple(field for field in fields if field.name not in known | RESERVED)


def landable(field: Field) -> bool:
    """Whether the field has a contract type; a point, a geometry or a vector has none."""
    return field.avro not in ("record", "array", "map")


def evolved(table: Table, fields: tuple[Field, ...], names: Mapping[str, str]) -> Table:
    """Returns the table with the record's unknown columns that can be landed: nullable, and unclassified, so
    that they never leave base.

    `names` has the columns' names of fields that are named differently.
    """
    unknown = tuple(field for field in unknown_fields(table, fields) if landable(field))
    if not unknown:
        return table
    first = max(column.id for column in table.columns) + 1
    extra = tuple(
        Column(
            first + index,
            names.get(field.name, field.name),
            guessed_type(field),
            p.UNCLASSIFIED,
            nullable=True,
        )
        for index, field in enumerate(unknown)
    )
    return Table(**{**vars(table), "columns": table.columns + extra})


def guessed_type(field: Field) -> t.Type:
    """Returns the widest contract type of an undescribed field. Raises ContractError if there is none."""
    by_logical: dict[str, t.Type] = {
        "io.debezium.time.Date": t.Date(),
        "io.debezium.time.Timestamp": t.DateTime(3),
        "io.debezium.time.MicroTimestamp": t.DateTime(6),
        "io.debezium.time.MicroTime": t.Time(6),
        "io.debezium.time.ZonedTimestamp": t.Timestamp(6),
        "io.debezium.time.Year": t.Year(),
        "io.debezium.data.Json": t.Json(),
        "io.debezium.data.Bits": t.Bit(64),
        "io.debezium.data.Enum": t.Enum(),
        "io.debezium.data.EnumSet": t.Set(),
    }
    if field.logical == "decimal":
        return t.Decimal(field.precision, field.scale)
    if field.logical in by_logical:
        return by_logical[field.logical]
    by_avro: dict[str, t.Type] = {
        "boolean": t.Bool(),
        "int": t.Int(32),
        "long": t.Int(64),
        "float": t.Float(32),
        "double": t.Float(64),
        "string": t.Text(),
        "bytes": t.Binary(),
    }
    if field.avro not in by_avro:
        raise ContractError(
            f"column {field.name!r} has Avro type {field.avro!r}", "describe it in the contract"
        )
    return by_avro[field.avro]
