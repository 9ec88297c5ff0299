"""Reads the notifications of a server's Debezium, of its snapshots and of the changes that it skipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from core import logging
from core.clients.kafka import partition_reader, read_partitions
from core.clients.registry import Registry
from core.errors import TransientError
from core.settings import Endpoints, KafkaEndpoint
from core.wire.record import RecordDecoder, UnreadableRecordError
from schemas.render.connect import notification_topic

log = logging.get("connectors")


def notification_end_offset(kafka: KafkaEndpoint, server: str) -> int:
    """The end offset of the server's notification topic.

    Blocks for up to 15 s; raises TransientError after that.
    """
    reader = partition_reader(kafka)
    try:
        _, end = reader.get_watermark_offsets(TopicPartition(notification_topic(server), 0), timeout=15)
        return int(end)
    except KafkaException as error:
        raise TransientError(
            f"Kafka at {kafka.bootstrap} did not return the end of {notification_topic(server)}"
        ) from error
    finally:
        reader.close()


def read_notifications(
    endpoints: Endpoints, server: str, since: int = 0
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(offset, notification) from offset `since` on, up to the newest. Blocks for Kafka."""
    decoder = RecordDecoder(Registry(endpoints.registry).schema)
    for message in read_partitions(endpoints.kafka, {(notification_topic(server), 0): since}):
        yield message.offset() or 0, decode_notification(decoder, message.value() or b"")


def decode_notification(decoder: RecordDecoder, value: bytes) -> dict[str, Any]:
    """Empty for one that cannot be decoded: a snapshot whose end it reports counts as lost after a while, and
    is requested again."""
    try:
        return decoder.decode(value)
    except UnreadableRecordError as error:
        log.warning("a notification cannot be decoded", error=str(error))
        return {}


def task_started_since(endpoints: Endpoints, server: str, since: int) -> bool:
    """Whether a task of the server's connector has started since notification offset `since`.

    Blocks for Kafka.
    """
    notifications = read_notifications(endpoints, server, since)
    return any(record.get("aggregate_type") == "Initial Snapshot" for _, record in notifications)
