"""A batch of raw records of one topic and one schema, and the Avro file that ClickHouse reads it from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from core.wire import avro

PARTS = 4
"""Each record is four parts in a row: offset, partition, the framed value as Kafka has it, and the offset again."""
BLOCK_ROWS = 4096


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

    def extend(self, partition: int, offsets: Sequence[int], values: list[bytes]) -> None:
        """Adds a run of one partition, offsets ascending: the fast path of `add`, without a step of Python for each."""
        spelled = list(_spelled(offsets))
        flat: list[bytes] = [avro.long(partition)] * (PARTS * len(values))
        flat[0::PARTS] = flat[3::PARTS] = spelled
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
        """An Avro object container file, block by block, so that it never stands in memory whole."""
        yield container_header
        for start in range(0, len(self.parts), PARTS * BLOCK_ROWS):
            parts = self.parts[start : start + PARTS * BLOCK_ROWS]
            data = b"".join(parts)
            yield b"".join((avro.long(len(parts) // PARTS), avro.long(len(data)), data, avro.SYNC))

    def records(self) -> Iterator[tuple[int, int, bytes]]:
        """(partition, offset, value) of each record."""
        for index in range(0, len(self.parts), PARTS):
            yield _read_long(self.parts[index + 1]), _read_long(self.parts[index]), self.parts[index + 2]


def _spelled(offsets: Sequence[int]) -> Iterator[bytes]:
    """Each offset as an Avro long; a run without gaps, as most are, 64 at a time."""
    start, end = offsets[0], offsets[-1] + 1
    if end - start != len(offsets):
        for offset in offsets:
            yield avro.longs_of_run(offset & ~63)[offset & 63]
        return
    for base in range(start & ~63, end, 64):
        yield from avro.longs_of_run(base)[max(start - base, 0) : end - base]


def _read_long(spelled: bytes) -> int:
    value = 0
    for place, byte in enumerate(spelled):
        value |= (byte & 0x7F) << (7 * place)
    return (value >> 1) ^ -(value & 1)
