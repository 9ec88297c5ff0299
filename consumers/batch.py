"""A batch of raw records of one topic and one schema, and the Avro file that ClickHouse reads it from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from core.wire import avro

PARTS = 4
"""Each record is four consecutive parts: offset, partition, the framed value as Kafka stores it, and the
offset again."""
BLOCK_ROWS = 4096


@dataclass
class Batch:
    """Records of one schema, encoded as they are added."""

    topic: str
    header: bytes
    """The first five bytes of each value: magic byte and schema id."""
    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    @property
    def schema_id(self) -> int:
        return int.from_bytes(self.header[1:5], "big")

    @property
    def rows(self) -> int:
        return len(self.parts) // PARTS

    def add(self, offset: int, partition: int, value: bytes) -> None:
        encoded = avro.long(offset)
        self.parts += (encoded, avro.long(partition), value, encoded)
        self.size += len(value)

    def extend(self, partition: int, offsets: Sequence[int], values: list[bytes]) -> None:
        """Adds records of one partition, offsets ascending: the fast path of `add`, without a Python loop
        over the records."""
        encoded = list(_encode_offsets(offsets))
        flat: list[bytes] = [avro.long(partition)] * (PARTS * len(values))
        flat[0::PARTS] = flat[3::PARTS] = encoded
        flat[2::PARTS] = values
        self.parts += flat
        self.size += sum(map(len, values))

    def slice(self, start: int, end: int) -> Batch:
        parts = self.parts[start * PARTS : end * PARTS]
        return Batch(self.topic, self.header, parts, sum(map(len, parts[2::PARTS])))

    def halves(self) -> tuple[Batch, Batch]:
        middle = self.rows // 2
        return self.slice(0, middle), self.slice(middle, self.rows)

    def file(self, container_header: bytes) -> Iterator[bytes]:
        """Yields an Avro object container file block by block, so that it is never in memory as a whole."""
        yield container_header
        for start in range(0, len(self.parts), PARTS * BLOCK_ROWS):
            parts = self.parts[start : start + PARTS * BLOCK_ROWS]
            data = b"".join(parts)
            yield b"".join((avro.long(len(parts) // PARTS), avro.long(len(data)), data, avro.SYNC))

    def records(self) -> Iterator[tuple[int, int, bytes]]:
        """Yields (partition, offset, value) of each record."""
        for index in range(0, len(self.parts), PARTS):
            yield _decode_long(self.parts[index + 1]), _decode_long(self.parts[index]), self.parts[index + 2]


def _encode_offsets(offsets: Sequence[int]) -> Iterator[bytes]:
    """Yields each offset as an Avro long; consecutive offsets, the usual case, 64 at a time."""
    start, end = offsets[0], offsets[-1] + 1
    if end - start != len(offsets):
        for offset in offsets:
            yield avro.longs_of_run(offset & ~63)[offset & 63]
        return
    for base in range(start & ~63, end, 64):
        yield from avro.longs_of_run(base)[max(start - base, 0) : end - base]


def _decode_long(encoded: bytes) -> int:
    value = 0
    for index, byte in enumerate(encoded):
        value |= (byte & 0x7F) << (7 * index)
    return (value >> 1) ^ -(value & 1)
