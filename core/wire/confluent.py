"""The Confluent frame: magic byte 0, a schema id of 4 bytes big-endian, then one Avro datum.

In place of a record that its topic does not take there is a note: byte 1, then why, in UTF-8.
"""

from __future__ import annotations

import struct

HEADER = struct.Struct(">bI")
HEADER_SIZE = HEADER.size
NOTE = b"\x01"


def schema_id(value: bytes) -> int | None:
    """Returns the schema id of a framed value, or None if it is not framed."""
    if len(value) < HEADER_SIZE or value[0] != 0:
        return None
    return int.from_bytes(value[1:5], "big")


def note(value: bytes) -> str | None:
    """Returns the note in place of a record (`connectors/plugin/ValueConverter.java`), or None if it is
    none."""
    return value[1:].decode(errors="replace") if value[:1] == NOTE else None


def frame(schema_id: int, datum: bytes) -> bytes:
    return HEADER.pack(0, schema_id) + datum
