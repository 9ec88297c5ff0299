"""Kafka clients with the settings that the platform's guarantees require."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from core.errors import TransientError
from core.settings import MAX_MESSAGE_BYTES, KafkaEndpoint

QUIET = {"log_level": 2}
Config = dict[str, Any]
IDLE_WAIT_MILLISECONDS = 250
"""The broker's wait for a record before it answers a reader that has read everything. Longer delays a
partition that was just assigned; shorter costs the broker CPU, and brings no record sooner."""
EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
ANSWER_SECONDS = 10.0
END_WAIT_MILLISECONDS = 10
"""The broker's wait for another record before it reports the end of a partition; Kafka's default is 500."""


def admin(endpoint: KafkaEndpoint) -> AdminClient:
    return AdminClient({"bootstrap.servers": endpoint.bootstrap, **QUIET})


def producer(endpoint: KafkaEndpoint, **more: Any) -> Producer:
    """An idempotent producer that partitions as Java producers do, so that a key keeps its partition."""
    return Producer(
        {
            "bootstrap.servers": endpoint.bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
            "linger.ms": 5,
            "compression.type": "lz4",
            "message.max.bytes": MAX_MESSAGE_BYTES,
            **QUIET,
            **more,
        }
    )


def consumer(endpoint: KafkaEndpoint, group: str, **more: Any) -> Consumer:
    """A consumer of committed records that never commits by itself and never skips missing records."""
    return Consumer(
        {
            "bootstrap.servers": endpoint.bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": False,
            **QUIET,
            **more,
        }
    )


def partition_reader(endpoint: KafkaEndpoint, group: str = "switchboard-readers") -> Consumer:
    """A consumer for assigned partitions that reports the end of each at once.

    It joins no group, but reads the offsets of `group`.
    """
    bounded = {
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": END_WAIT_MILLISECONDS,
    }
    return consumer(endpoint, group, **bounded)


@contextmanager
def answering(endpoint: KafkaEndpoint) -> Iterator[None]:
    """Raises errors of a client within the block as TransientError."""
    try:
        yield
    except KafkaException as error:
        address = f"Kafka at {endpoint.bootstrap}"
        raise TransientError(
            f"{address} does not answer: {error}", "is it running? see `switchboard status`"
        ) from error


def partition_offsets(
    client: AdminClient,
    partitions: Iterable[tuple[str, int]],
    spec: OffsetSpec,
    *,
    isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,
    limit: float = 15,
) -> dict[tuple[str, int], int]:
    """Returns (topic, partition) -> offset by `spec`: EARLIEST, or LATEST, the one after the last record.

    One request to each broker, on the admin client's own connections: `Consumer.get_watermark_offsets` sends
    a request for each partition, which waits behind a fetch once partitions are assigned. Blocks up to
    `limit` seconds; raises KafkaException.
    """
    wanted = {TopicPartition(*partition): spec for partition in partitions}
    if not wanted:
        return {}
    answers = client.list_offsets(wanted, isolation_level=isolation, request_timeout=limit)
    return {
        (found.topic, found.partition): int(answer.result(limit).offset) for found, answer in answers.items()
    }


def read_topic(endpoint: KafkaEndpoint, topic: str) -> Iterator[Message]:
    """Yields every committed record of a topic, in order in each partition, up to its end: as
    `read_partitions`."""
    known = admin(endpoint).list_topics(topic, timeout=ANSWER_SECONDS).topics[topic].partitions
    return read_partitions(endpoint, {(topic, partition): OFFSET_BEGINNING for partition in known})


def read_partitions(endpoint: KafkaEndpoint, begins: Mapping[tuple[str, int], int]) -> Iterator[Message]:
    """Yields the committed records of partitions, each from its offset on, up to their ends.

    `begins` maps (topic, partition) to that offset. Raises TransientError after `ANSWER_SECONDS` without an
    answer.
    """
    waiting = set(begins)
    reader = partition_reader(endpoint)
    try:
        reader.assign([TopicPartition(*partition, offset) for partition, offset in begins.items()])
        while waiting:
            message = reader.poll(ANSWER_SECONDS)
            error = KafkaError(KafkaError._TIMED_OUT) if message is None else message.error()
            if message is not None and error is None:
                yield message
            elif message is not None and error is not None and error.code() == KafkaError._PARTITION_EOF:
                waiting.discard((str(message.topic()), int(message.partition() or 0)))
            elif error is not None and (message is None or not error.retriable()):
                names = ", ".join(sorted({topic for topic, _ in waiting}))
                raise TransientError(f"{names} cannot be read: {error.str()}", "see `switchboard status`")
    finally:
        reader.close()
