"""Records that cannot land: written to ``dlq.<topic>`` with their coordinates and the reason, and listed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, Message, Producer

from core.clients.kafka import admin, producer, read_topic
from core.errors import TransientError
from core.settings import KafkaEndpoint
from core.wire import confluent
from schemas.names import DLQ_PREFIX, dlq_of

REPLAYED = "replayed"
MAX_REASON_CHARS = 2000


@dataclass(frozen=True)
class RecordRef:
    """Which record of a change topic: the topic's generation tells apart topics that had this name."""

    topic: str
    generation: int
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> RecordRef:
        """Raises KeyError or ValueError if a header is missing or wrong."""
        numbers = (int(headers[name]) for name in ("generation", "partition", "offset"))
        return cls(headers["topic"], *numbers)

    def headers(self) -> dict[str, str]:
        return {name: str(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class DeadLetter:
    """A record that could not land; `time` is when it became a dead letter, in milliseconds since the
    epoch."""

    record: RecordRef
    schema_id: int | None
    reason: str
    time: int
    value: bytes
    replayed: bool = False
    """Whether a replay has landed it."""


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
        for partition, offset, value in records:
            record = RecordRef(topic, generation, partition, offset)
            more = {"schema_id": str(confluent.schema_id(value) or ""), "reason": reason[:MAX_REASON_CHARS]}
            self._produce(topic, value, record.headers() | more)
        self._flush(topic)

    def mark_replayed(self, letters: Iterable[DeadLetter]) -> None:
        """Records in their topic that these dead letters have landed. Blocks and raises as `put` does."""
        topics = set()
        for letter in letters:
            self._produce(letter.record.topic, b"", letter.record.headers() | {REPLAYED: "1"})
            topics.add(letter.record.topic)
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
                record: int(message.offset() or 0)
                for message in read_topic(kafka, name)
                if (record := _replayed(message)) is not None
            }
            for message in read_topic(kafka, name):
                if _replayed(message) is None:
                    yield _entry(message, replayed_at)


def _replayed(message: Message) -> RecordRef | None:
    """The record of the dead letter whose replay this one marks; None for any other."""
    headers = _headers(message)
    return RecordRef.from_headers(headers) if REPLAYED in headers else None


def _headers(message: Message) -> dict[str, str]:
    return {
        str(item[0]): bytes(item[1] or b"").decode(errors="replace")  # type: ignore[arg-type]
        for item in list(message.headers() or [])
    }


def _entry(message: Message, replayed_at: Mapping[RecordRef, int]) -> DeadLetter | ForeignRecord:
    headers, offset = _headers(message), int(message.offset() or 0)
    try:
        record = RecordRef.from_headers(headers)
        return DeadLetter(
            record=record,
            schema_id=int(headers["schema_id"]) if headers["schema_id"] else None,
            reason=headers["reason"],
            time=message.timestamp()[1],
            value=message.value() or b"",
            replayed=replayed_at.get(record, -1) > offset,
        )
    except (KeyError, ValueError):
        return ForeignRecord(f"{message.topic()}[{message.partition()}]@{offset}")
