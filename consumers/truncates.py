"""A table that the source emptied at one stroke: no row's delete is told, so what ClickHouse holds of it is in doubt."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro

from core.wire.confluent import HEADER_SIZE

TRUNCATE = "t"


def truncated_shard(schema: str, value: bytes) -> str | None:
    """The database whose table this framed record says was truncated; None if it says something else or is broken."""
    try:
        record: Any = fastavro.schemaless_reader(io.BytesIO(value[HEADER_SIZE:]), fastavro.parse_schema(json.loads(schema)), None)
    except (EOFError, ValueError, IndexError, UnicodeDecodeError):
        return None
    return str(record["source"]["db"]) if record.get("op") == TRUNCATE else None
