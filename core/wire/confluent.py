"""The Confluent frame: magic byte 0, a schema id of 4 bytes big-endian, then one Avro datum."""

from __future__ import annotations

import struct

HEADER = struct.Struct(">bI")
HEADER_SIZE = HEADER.size


def schema_id(value: bytes) -> int | None:
    """Returns the schema id of a framed value, or None if it is not framed."""
    if len(value) < HEADER_SIZE or value[0] != 0:
        return None
    return int.from_bytes(value[1:5], "big")


def frame(schema_id: int, datum: bytes) -> bytes:
    return HEADER.pack(0, schema_id) + datum
