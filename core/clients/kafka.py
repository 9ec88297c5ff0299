"""Kafka clients with the settings on which the platform's guarantees rest."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from core.settings import KafkaEndpoint

QUIET = {"log_level": 2}
Config = dict[str, Any]


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
            "message.max.bytes": 16 << 20,
            **QUIET,
            **more,
        }
    )


def consumer(endpoint: KafkaEndpoint, group: str, **more: Any) -> Consumer:
    """A consumer of committed records that never commits by itself and never skips what it cannot find."""
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
