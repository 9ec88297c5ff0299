"""Decoding of the few records that a lander reads: those that fit no batch, and the last of each batch, for
freshness."""

from __future__ import annotations

import io
import struct
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from core.wire.confluent import HEADER_SIZE

TRUNCATE = "t"


def parsed(schema: dict[str, Any]) -> Any:
    """Returns the schema for `decoded`; None if fastavro refuses it, as it does a default that does not fit
    its type."""
    try:
        return fastavro.parse_schema(schema)
    except (SchemaParseException, UnknownType):
        return None


def decoded(schema: Any, value: bytes) -> dict[str, Any] | None:
    """Returns the framed record, decoded by its parsed schema; None if that fails."""
    if schema is None:
        return None
    try:
        record: Any = fastavro.schemaless_reader(io.BytesIO(value[HEADER_SIZE:]), schema, None)
    except (EOFError, ValueError, IndexError, struct.error):
        return None
    return record if isinstance(record, dict) else None


def truncated_shard(record: dict[str, Any]) -> str | None:
    """Returns the database whose table was truncated, if this is a truncate event: no row has a delete event
    then."""
    return str(record["source"]["db"]) if record.get("op") == TRUNCATE else None


def committed_at(record: dict[str, Any]) -> float:
    """Returns when the source committed the record, in seconds since the epoch."""
    return float(record["source"]["ts_ms"]) / 1000
