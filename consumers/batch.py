"""A batch of raw records of one topic and one schema, and the Avro block that ClickHouse reads it from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from core.wire import avro

PARTS = 4
"""Each record is four parts in a row: offset, partition, the framed value as Kafka has it, and the offset again."""


@dataclass
class Batch:
    """Records of one schema, encoded as they are added."""

    topic: str
    header: bytes
    """The five bytes with which each value begins: magic and schema id."""
    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    @property
    def schema_id(self) -> int:
        return int.from_bytes(self.header[1:5], "big")

    @property
    def rows(self) -> int:
        return len(self.parts) // PARTS

    def add(self, offset: int, partition: int, value: bytes) -> None:
        spelled = avro.long(offset)
        self.parts += (spelled, avro.long(partition), value, spelled)
        self.size += len(value)

    def extend(self, partition: int, offsets: list[int], values: list[bytes]) -> None:
        """Adds a run of one partition, in order of offset: the fast path of `add`."""
        spelled_partition = avro.long(partition)
        base, run = -1, avro.longs_of_run(0)
        parts = self.parts
        for offset, value in zip(offsets, values, strict=True):
            if offset & ~63 != base:
                base = offset & ~63
                run = avro.longs_of_run(base)
            spelled = run[offset & 63]
            parts += (spelled, spelled_partition, value, spelled)
        self.size += sum(map(len, values))

    def slice(self, start: int, end: int) -> Batch:
        parts = self.parts[start * PARTS : end * PARTS]
        return Batch(self.topic, self.header, parts, sum(map(len, parts[2::PARTS])))

    def halves(self) -> tuple[Batch, Batch]:
        middle = self.rows // 2
        return self.slice(0, middle), self.slice(middle, self.rows)

    def block(self, container_header: bytes) -> bytes:
        """An Avro object container file of one block."""
        data = b"".join(self.parts)
        return b"".join((container_header, avro.long(self.rows), avro.long(len(data)), data, avro.SYNC))

    def records(self) -> Iterator[tuple[int, int, bytes]]:
        """(partition, offset, value) of each record."""
        for index in range(0, len(self.parts), PARTS):
            yield _read_long(self.parts[index + 1]), _read_long(self.parts[index]), self.parts[index + 2]


def _read_long(spelled: bytes) -> int:
    value = 0
    for place, byte in enumerate(spelled):
        value |= (byte & 0x7F) << (7 * place)
    return (value >> 1) ^ -(value & 1)
