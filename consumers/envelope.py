"""Decoding of the few records that a lander reads: those that fit no batch, and the last of each batch, for
freshness."""

from __future__ import annotations

from typing import Any

from core.wire import record
from core.wire.record import UnreadableRecordError

TRUNCATE = "t"


def parsed(schema: dict[str, Any]) -> record.Schema | None:
    """Returns the schema for `decoded`; None if it cannot be used."""
    try:
        return record.parsed(schema)
    except UnreadableRecordError:
        return None


def decoded(schema: record.Schema | None, value: bytes) -> dict[str, Any] | None:
    """Returns the framed record, decoded by its parsed schema; None if that fails."""
    try:
        return None if schema is None else record.decoded(schema, value)
    except UnreadableRecordError:
        return None


def truncated_shard(envelope: dict[str, Any]) -> str | None:
    """Returns the database whose table was truncated, if this is a truncate event: no row has a delete event
    then."""
    return str(envelope["source"]["db"]) if envelope.get("op") == TRUNCATE else None


def committed_at(envelope: dict[str, Any]) -> float:
    """Returns when the source committed the record, in seconds since the epoch."""
    return float(envelope["source"]["ts_ms"]) / 1000
