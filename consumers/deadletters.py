"""Records that cannot land: written to ``dlq.<topic>`` with where they stood and why, listed, and landed again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, Message, Producer

from core.clients.kafka import admin, producer, whole
from core.errors import TransientError
from core.settings import KafkaEndpoint
from core.wire import confluent
from schemas.names import DLQ_PREFIX, dlq_of

REPLAYED = "replayed"
Place = tuple[str, int, int, int]
"""Where a letter's record stood: topic, generation, partition, offset."""


@dataclass(frozen=True)
class DeadLetter:
    """A record that could not land; `time` is when it was set aside, in milliseconds since the epoch."""

    topic: str
    generation: int
    partition: int
    offset: int
    schema_id: int | None
    reason: str
    time: int
    value: bytes
    replayed: bool = False
    """Whether it has landed since."""

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True)
class Foreign:
    """A record of a dead-letter topic that no lander wrote."""

    where: str

    def __str__(self) -> str:
        return self.where


class DeadLetterWriter:
    """Not thread-safe. What it has written is durable once a method returns."""

    def __init__(self, kafka: KafkaEndpoint) -> None:
        self._kafka = kafka
        self._producer: Producer | None = None
        self._failures: list[str] = []

    def put(self, topic: str, generation: int, records: Sequence[tuple[int, int, bytes]], reason: str) -> None:
        """(partition, offset, value) of each. Blocks until every in-sync replica holds the letters, or raises TransientError."""
        shared = {"topic": topic, "generation": str(generation), "reason": reason[:2000]}
        for partition, offset, value in records:
            place = {"partition": str(partition), "offset": str(offset), "schema_id": str(confluent.schema_id(value) or "")}
            self._produce(topic, value, shared | place)
        self._flush(topic)

    def mark_replayed(self, letters: Iterable[DeadLetter]) -> None:
        """Remembers, beside the letters, that they have landed. Blocks as `put` does."""
        topics = set()
        for letter in letters:
            place = {"topic": letter.topic, "generation": letter.generation, "partition": letter.partition, "offset": letter.offset}
            self._produce(letter.topic, b"", {**{name: str(value) for name, value in place.items()}, REPLAYED: "1"})
            topics.add(letter.topic)
        if topics:
            self._flush(", ".join(sorted(topics)))

    def _produce(self, topic: str, value: bytes, headers: dict[str, str]) -> None:
        self._producer = self._producer or producer(self._kafka)
        while True:
            try:
                self._producer.produce(dlq_of(topic), value=value, headers=headers, on_delivery=self._delivered)  # type: ignore[arg-type]
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
                f"{topic}: dead letters are not stored: {'; '.join(failures[:3]) or 'no answer in 60 s'}",
                f"does topic {dlq_of(topic)} exist? run `switchboard apply`",
            )


def read(kafka: KafkaEndpoint, topic: str | None = None) -> Iterator[DeadLetter]:
    """Every dead letter there is (of one change topic), oldest first in each partition. Blocks 10 s on silence."""
    return (entry for entry in entries(kafka, topic) if isinstance(entry, DeadLetter))


def entries(kafka: KafkaEndpoint, topic: str | None = None) -> Iterator[DeadLetter | Foreign]:
    """The same, and what else stands in their topics. These are read twice: what tells that a letter has landed stands behind it."""
    for name in sorted(admin(kafka).list_topics(timeout=10).topics):
        if name.startswith(DLQ_PREFIX) and topic in (None, name[len(DLQ_PREFIX) :]):
            marks = {place: int(message.offset() or 0) for message in whole(kafka, name) if (place := _replayed(message)) is not None}
            for message in whole(kafka, name):
                if _replayed(message) is None:
                    yield _entry(message, marks)


def _replayed(message: Message) -> Place | None:
    """The place of the letter that this record says has landed."""
    headers = _headers(message)
    return _place(headers) if REPLAYED in headers else None


def _headers(message: Message) -> dict[str, str]:
    return {str(item[0]): bytes(item[1] or b"").decode(errors="replace") for item in list(message.headers() or [])}  # type: ignore[arg-type]


def _place(headers: dict[str, str]) -> Place:
    return headers["topic"], int(headers["generation"]), int(headers["partition"]), int(headers["offset"])


def _entry(message: Message, marks: dict[Place, int]) -> DeadLetter | Foreign:
    headers, offset = _headers(message), int(message.offset() or 0)
    try:
        place = _place(headers)
        schema_id = int(headers["schema_id"]) if headers["schema_id"] else None
        landed = marks.get(place, -1) > offset
        return DeadLetter(*place, schema_id, headers["reason"], message.timestamp()[1], message.value() or b"", landed)
    except (KeyError, ValueError):
        return Foreign(f"{message.topic()}[{message.partition()}]@{offset}")
