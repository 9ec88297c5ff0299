"""Avro's binary encoding, as far as needed to build a block around datums that are not decoded.

Formats: the Avro 1.12 specification, "Binary encoding" and "Object container files".
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

SYNC = bytes.fromhex("5357495443484244e29a8fa1c3b7d90e")
"""Any 16 bytes will do: no reader searches for it."""

_LOW_BYTES = tuple(bytes((value,)) for value in range(256))


def long(value: int) -> bytes:
    """Returns a zig-zag variable-length integer of at most 64 bits."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append((rest & 0x7F) | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


@lru_cache(maxsize=256)
def longs_of_run(base: int) -> tuple[bytes, ...]:
    """Returns the encodings of 64 consecutive integers from `base`, a non-negative multiple of 64.

    They differ only in their first byte, so one call encodes 64 consecutive offsets.
    """
    high = base >> 6
    if high == 0:
        return _LOW_BYTES[0:128:2]
    tail = bytearray()
    while high > 0x7F:
        tail.append((high & 0x7F) | 0x80)
        high >>= 7
    tail.append(high)
    end = bytes(tail)
    return tuple(low + end for low in _LOW_BYTES[128:256:2])


def container_header(schema: dict[str, Any]) -> bytes:
    """Returns the header of an object container file without compression."""
    name, codec = b"avro.schema", b"avro.codec"
    text = json.dumps(schema, separators=(",", ":")).encode()
    entries = _bytes(name) + _bytes(text) + _bytes(codec) + _bytes(b"null")
    return b"Obj\x01" + long(2) + entries + long(0) + SYNC


def _bytes(value: bytes) -> bytes:
    return long(len(value)) + value
