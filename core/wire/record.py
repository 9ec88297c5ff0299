"""Decoding of single records: framed Avro datums, each by the schema that its frame names."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from core.wire import confluent

Schema = Any
"""As `fastavro.parse_schema` returns it."""


class UnreadableRecordError(ValueError):
    """A record that is not framed, that its schema does not describe, or whose schema is unknown."""


def parsed(schema: dict[str, Any]) -> Schema:
    """Raises UnreadableRecordError if fastavro refuses the schema, as it does a default that does not fit its
    type."""
    try:
        return fastavro.parse_schema(schema)
    except (SchemaParseException, UnknownType) as error:
        raise UnreadableRecordError(f"its schema cannot be used: {error}") from error


def decoded(schema: Schema, value: bytes) -> dict[str, Any]:
    """Returns the framed record by its parsed schema. Raises UnreadableRecordError."""
    try:
        record = fastavro.schemaless_reader(io.BytesIO(value[confluent.HEADER_SIZE :]), schema, None)
    except (EOFError, ValueError, IndexError, struct.error) as error:
        raise UnreadableRecordError(f"it does not fit its schema: {error!r}") from error
    if not isinstance(record, dict):
        raise UnreadableRecordError("it is not an Avro record")
    return record


class RecordDecoder:
    """Decodes framed records, and asks for each schema once.

    `schema_text` returns the schema of an id, or None if it is unknown, as `Registry.schema` does.
    """

    def __init__(self, schema_text: Callable[[int], str | None]) -> None:
        self._schema_text = schema_text
        self._schemas: dict[int, Schema] = {}

    def decode(self, value: bytes) -> dict[str, Any]:
        """Raises UnreadableRecordError, and what `schema_text` raises. Blocks as it does."""
        identity = confluent.schema_id(value)
        if identity is None:
            raise UnreadableRecordError("it has no Confluent header")
        if identity not in self._schemas:
            text = self._schema_text(identity)
            if text is None:
                raise UnreadableRecordError(f"the registry has no schema {identity}")
            self._schemas[identity] = parsed(json.loads(text))
        return decoded(self._schemas[identity], value)
