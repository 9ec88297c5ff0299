"""The few records that a lander does look into: those that fit no batch, and the last of a batch, for its freshness."""

from __future__ import annotations

import io
import struct
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from core.wire.confluent import HEADER_SIZE

TRUNCATE = "t"


def parsed(schema: dict[str, Any]) -> Any:
    """For `decoded`; None for a schema that fastavro finds fault with, as it does with a default that does not fit its type."""
    try:
        return fastavro.parse_schema(schema)
    except (SchemaParseException, UnknownType):
        return None


def decoded(schema: Any, value: bytes) -> dict[str, Any] | None:
    """The framed record, read by its parsed schema; None if it cannot be."""
    if schema is None:
        return None
    try:
        record: Any = fastavro.schemaless_reader(io.BytesIO(value[HEADER_SIZE:]), schema, None)
    except (EOFError, ValueError, IndexError, struct.error):
        return None
    return record if isinstance(record, dict) else None


def truncated_shard(record: dict[str, Any]) -> str | None:
    """The database whose table this record says was emptied at one stroke: no row's delete is told then."""
    return str(record["source"]["db"]) if record.get("op") == TRUNCATE else None


def committed_at(record: dict[str, Any]) -> float:
    """When the source committed it, in seconds since 1970."""
    return float(record["source"]["ts_ms"]) / 1000
