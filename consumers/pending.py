"""Fetched records of a topic that wait to be handed to a writer, encoded as they arrive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter, truth
from typing import cast

from confluent_kafka import Message

from consumers.batch import Batch
from consumers.offsets import Span
from core.wire.confluent import HEADER_SIZE, note

_header = itemgetter(slice(HEADER_SIZE))


def runs(messages: list[Message]) -> Iterator[list[Message]]:
    """Yields runs of messages of one partition, in order; events (end of partition, error) are runs of their
    own."""
    start = 0
    events = map(truth, map(Message.error, messages))
    for _, run in groupby(
        zip(map(Message.topic, messages), map(Message.partition, messages), events, strict=True)
    ):
        end = start + len(list(run))
        yield messages[start:end]
        start = end


@dataclass
class Pending:
    """Records of one topic and generation: a batch for each schema, and the spans that they cover."""

    topic: str
    generation: int
    since: float
    batches: dict[bytes, Batch] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    unbatchable: list[tuple[int, int, bytes, str]] = field(default_factory=list)
    """Records that no batch can hold: (partition, offset, value, reason)."""
    tombstones: list[tuple[int, int, bytes]] = field(default_factory=list)
    """(partition, offset, key)."""

    def take(self, partition: int, run: list[Message]) -> int:
        """Adds a run of one partition and returns its last offset.

        The hot path: no Python loop over the records.
        """
        first, last = int(run[0].offset() or 0), int(run[-1].offset() or 0)
        gapless = last - first + 1 == len(run)
        offsets = cast(Sequence[int], range(first, last + 1) if gapless else list(map(Message.offset, run)))
        values = cast(list[bytes], list(map(Message.value, run)))
        headers = set(map(_header, filter(None, values)))
        if (
            len(headers) == 1
            and all(values)
            and all(map(Message.key, run))
            and _framed(header := headers.pop(), values)
        ):
            self._extend(header, partition, offsets, values)
        else:
            for offset, message in zip(offsets, run, strict=True):
                self.add(partition, offset, message.key(), message.value())
        return last

    def add(self, partition: int, offset: int, key: bytes | None, value: bytes | None) -> None:
        """Adds one record of any kind."""
        if value is None:
            self.tombstones.append((partition, offset, key or b""))
        elif key is None:
            self.unbatchable.append((partition, offset, value, "a truncate or a record without key"))
        elif not _framed(value, [value]):
            self.unbatchable.append((partition, offset, value, _unframed_reason(key, value)))
        else:
            self._extend(value[:HEADER_SIZE], partition, [offset], [value])

    def _extend(self, header: bytes, partition: int, offsets: Sequence[int], values: list[bytes]) -> None:
        batch = self.batches.get(header)
        if batch is None:
            batch = self.batches[header] = Batch(self.topic, header)
        batch.extend(partition, offsets, values)

    @property
    def rows(self) -> int:
        return (
            sum(batch.rows for batch in self.batches.values()) + len(self.unbatchable) + len(self.tombstones)
        )

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return sum(batch.size for batch in self.batches.values()) + sum(
            len(value) for _, _, value, _ in self.unbatchable
        )


def _unframed_reason(key: bytes, value: bytes) -> str:
    found = note(value)
    return (
        "not in Confluent framing" if found is None else f"{found}; its key: {key.decode(errors='replace')}"
    )


def _framed(header: bytes, values: list[bytes]) -> bool:
    return min(map(len, values)) > HEADER_SIZE and header[0] == 0
