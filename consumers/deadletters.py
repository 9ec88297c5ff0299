"""Records that cannot land: written to ``dlq.<topic>`` with where they stood and why, listed, and landed again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from core.clients.kafka import producer
from core.errors import PoisonError, TransientError
from core.settings import KafkaEndpoint
from core.wire import confluent
from schemas.names import DLQ_PREFIX, dlq_of


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


class DeadLetterWriter:
    """Not thread-safe. `put` returns once the letter is durable."""

    def __init__(self, kafka: KafkaEndpoint) -> None:
        self._kafka = kafka
        self._producer: Producer | None = None

    def put(self, topic: str, generation: int, partition: int, offset: int, value: bytes, reason: str) -> None:
        """Blocks until every in-sync replica holds the letter, 60 s at most. Raises TransientError otherwise."""
        self._producer = self._producer or producer(self._kafka)
        failures: list[str] = []
        self._producer.produce(
            dlq_of(topic),
            value=value,
            headers={
                "topic": topic,
                "generation": str(generation),
                "partition": str(partition),
                "offset": str(offset),
                "schema_id": str(confluent.schema_id(value) or ""),
                "reason": reason[:2000],
            },
            on_delivery=lambda error, _: failures.append(str(error)) if error is not None else None,
        )
        if self._producer.flush(60) or failures:
            raise TransientError(
                f"{topic}[{partition}]@{offset}: its dead letter is not stored: {'; '.join(failures) or 'no answer in 60 s'}",
                f"does topic {dlq_of(topic)} exist? run `switchboard apply`",
            )


def read(kafka: KafkaEndpoint, topic: str | None = None) -> Iterator[DeadLetter]:
    """Every dead letter there is (of one change topic), oldest first in each partition. Blocks 10 s on silence."""
    names = list(AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).topics)
    wanted = [name for name in sorted(names) if name.startswith(DLQ_PREFIX) and topic in (None, name[len(DLQ_PREFIX) :])]
    for name in wanted:
        yield from _read_topic(kafka, name)


def _read_topic(kafka: KafkaEndpoint, name: str) -> Iterator[DeadLetter]:
    reader = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": f"switchboard-dlq-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "log_level": 2,
        }
    )
    try:
        partitions = reader.list_topics(name, timeout=10).topics[name].partitions
        reader.assign([TopicPartition(name, partition, 0) for partition in partitions])
        waiting = set(partitions)
        while waiting:
            message = reader.poll(10)
            if message is None:
                raise TransientError(f"topic {name} cannot be read: no answer in 10 s", "is Kafka running?")
            error = message.error()
            if error is None:
                yield _letter(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                waiting.discard(message.partition())
            else:
                raise TransientError(f"topic {name} cannot be read: {error.str()}", "is Kafka running?")
    finally:
        reader.close()


def _letter(message: Message) -> DeadLetter:
    headers = {str(item[0]): bytes(item[1] or b"").decode() for item in list(message.headers() or [])}  # type: ignore[arg-type]
    if "topic" not in headers:
        raise PoisonError(f"{message.topic()}[{message.partition()}]@{message.offset()} is not one of our dead letters")
    return DeadLetter(
        topic=headers["topic"],
        generation=int(headers["generation"]),
        partition=int(headers["partition"]),
        offset=int(headers["offset"]),
        schema_id=int(headers["schema_id"]) if headers["schema_id"] else None,
        reason=headers["reason"],
        time=message.timestamp()[1],
        value=message.value() or b"",
    )
