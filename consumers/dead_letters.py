"""Records that cannot land: written to ``dlq.<topic>`` with their coordinates and the reason, and listed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, Message, Producer

from core.clients.kafka import admin, producer, read_topic
from core.errors import TransientError
from core.settings import KafkaEndpoint
from core.wire import confluent
from schemas.names import DLQ_PREFIX, dlq_of

REPLAYED = "replayed"
Coordinates = tuple[str, int, int, int]
"""Of a record that could not land: topic, generation, partition, offset."""


@dataclass(frozen=True)
class DeadLetter:
    """A record that could not land; `time` is when it became a dead letter, in milliseconds since the
    epoch."""

    topic: str
    generation: int
    partition: int
    offset: int
    schema_id: int | None
    reason: str
    time: int
    value: bytes
    replayed: bool = False
    """Whether a replay has landed it."""

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True)
class ForeignRecord:
    """A record of a dead-letter topic that no lander wrote."""

    position: str

    def __str__(self) -> str:
        return self.position


class DeadLetterWriter:
    """Not thread-safe. Records are durable once a method returns."""

    def __init__(self, kafka: KafkaEndpoint) -> None:
        self._kafka = kafka
        self._producer: Producer | None = None
        self._failures: list[str] = []

    def put(
        self, topic: str, generation: int, records: Sequence[tuple[int, int, bytes]], reason: str
    ) -> None:
        """Writes records, each as (partition, offset, value).

        Blocks until all in-sync replicas hold them, or raises TransientError.
        """
        shared = {"topic": topic, "generation": str(generation), "reason": reason[:2000]}
        for partition, offset, value in records:
            coordinates = {
                "partition": str(partition),
                "offset": str(offset),
                "schema_id": str(confluent.schema_id(value) or ""),
            }
            self._produce(topic, value, shared | coordinates)
        self._flush(topic)

    def mark_replayed(self, letters: Iterable[DeadLetter]) -> None:
        """Records in their topic that these dead letters have landed. Blocks and raises as `put` does."""
        topics = set()
        for letter in letters:
            coordinates = {
                "topic": letter.topic,
                "generation": letter.generation,
                "partition": letter.partition,
                "offset": letter.offset,
            }
            self._produce(
                letter.topic,
                b"",
                {**{name: str(value) for name, value in coordinates.items()}, REPLAYED: "1"},
            )
            topics.add(letter.topic)
        if topics:
            self._flush(", ".join(sorted(topics)))

    def _produce(self, topic: str, value: bytes, headers: dict[str, str]) -> None:
        self._producer = self._producer or producer(self._kafka)
        while True:
            try:
                self._producer.produce(
                    dlq_of(topic),
                    value=value,
                    headers=headers,  # type: ignore[arg-type]
                    on_delivery=self._delivered,
                )
                return
            except BufferError:
                self._producer.poll(1)

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failures.append(str(error))

    def _flush(self, topic: str) -> None:
        left = self._producer.flush(60) if self._producer is not None else 0
        failures, self._failures = self._failures, []
        if left or failures:
            raise TransientError(
                f"{topic}: dead letters could not be stored: "
                f"{'; '.join(failures[:3]) or 'no answer in 60 s'}",
                f"does topic {dlq_of(topic)} exist? run `switchboard apply`",
            )


def read(kafka: KafkaEndpoint, topic: str | None = None) -> Iterator[DeadLetter]:
    """Yields every dead letter (of one change topic), oldest first in each partition.

    Blocks up to 10 s without an answer.
    """
    return (entry for entry in entries(kafka, topic) if isinstance(entry, DeadLetter))


def entries(kafka: KafkaEndpoint, topic: str | None = None) -> Iterator[DeadLetter | ForeignRecord]:
    """As `read`, with every other record of these topics.

    Each topic is read twice: a replay is recorded after its dead letter.
    """
    for name in sorted(admin(kafka).list_topics(timeout=10).topics):
        if name.startswith(DLQ_PREFIX) and topic in (None, name[len(DLQ_PREFIX) :]):
            replayed_at = {
                coordinates: int(message.offset() or 0)
                for message in read_topic(kafka, name)
                if (coordinates := _replayed(message)) is not None
            }
            for message in read_topic(kafka, name):
                if _replayed(message) is None:
                    yield _entry(message, replayed_at)


def _replayed(message: Message) -> Coordinates | None:
    """The coordinates of the dead letter whose replay this record marks; None for any other record."""
    headers = _headers(message)
    return _coordinates(headers) if REPLAYED in headers else None


def _headers(message: Message) -> dict[str, str]:
    return {
        str(item[0]): bytes(item[1] or b"").decode(errors="replace")  # type: ignore[arg-type]
        for item in list(message.headers() or [])
    }


def _coordinates(headers: dict[str, str]) -> Coordinates:
    return headers["topic"], int(headers["generation"]), int(headers["partition"]), int(headers["offset"])


def _entry(message: Message, replayed_at: dict[Coordinates, int]) -> DeadLetter | ForeignRecord:
    headers, offset = _headers(message), int(message.offset() or 0)
    try:
        coordinates = _coordinates(headers)
        schema_id = int(headers["schema_id"]) if headers["schema_id"] else None
        landed = replayed_at.get(coordinates, -1) > offset
        return DeadLetter(
            *coordinates, schema_id, headers["reason"], message.timestamp()[1], message.value() or b"", landed
        )
    except (KeyError, ValueError):
        return ForeignRecord(f"{message.topic()}[{message.partition()}]@{offset}")
