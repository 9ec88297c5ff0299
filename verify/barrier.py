"""The catch-up barrier: waits until everything that MySQL had committed has landed in ClickHouse."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from connectors.rest import KafkaConnect
from core.clients import kafka
from core.errors import SwitchboardError
from core.settings import Endpoints
from core.waiting import wait_until
from schemas.names import dlq_of, topic_of
from schemas.render.connect import connector_name
from schemas.table import Table
from verify.sources import BinlogPosition, MySqlReader

POLL_SECONDS = 0.2
REQUEST_SECONDS = 10.0


class CatchUpBarrier(Protocol):
    def wait(self) -> str:
        """Blocks until everything that the source had committed at the call has landed.

        Returns an empty string, or the reason why it stopped waiting.
        """
        ...


@dataclass(frozen=True)
class PipelineBarrier:
    """The barrier of one table of one server: first its connector's stored position, then the landers'
    offsets.

    `limit` is in seconds.
    """

    endpoints: Endpoints
    source: MySqlReader
    table: Table
    group: str
    limit: float = 30.0

    def wait(self) -> str:
        """Blocks `limit` seconds at most."""
        deadline = time.monotonic() + self.limit
        try:
            return self._published(deadline) or self._landed(deadline)
        except SwitchboardError as error:
            return error.what
        except KafkaException as error:
            return f"Kafka returned no offsets: {error.args[0]}"

    def _published(self, deadline: float) -> str:
        """Waits for the connector. Heartbeats advance its stored position on a server without writes."""
        name = connector_name(self.source.server.name)
        connect = KafkaConnect(self.endpoints.connect, retry_timeout=max(1.0, self.limit / 3))
        if name not in connect.names():
            return f"there is no connector {name}, so the landed position is unknown"
        committed = self.source.position()
        reached = wait_until(
            lambda: any(self._covers(stored, committed) for stored in _stored(connect, name)),
            deadline - time.monotonic(),
            POLL_SECONDS,
        )
        return (
            "" if reached else f"connector {name} did not reach the source's position in {self.limit:.0f} s"
        )

    def _covers(self, stored: BinlogPosition, committed: BinlogPosition) -> bool:
        """Debezium omits the GTID of a trailing DDL statement; the file offset shows that it was read."""
        return committed.precedes(stored) or self.source.contains_gtids(stored.gtids, committed.gtids)

    def _landed(self, deadline: float) -> str:
        """Waits for the landers to reach the log end offset, which is past every committed record."""
        topic, client = topic_of(self.table), kafka.admin(self.endpoints.kafka)
        ends = end_offsets(client, topic)
        if not ends:
            return f"there is no topic {topic}"
        reached = wait_until(
            lambda: _all_reached(ends, committed_offsets(client, self.group, topic, list(ends))),
            deadline - time.monotonic(),
            POLL_SECONDS,
        )
        return "" if reached else f"the landers did not reach the end of {topic} in {self.limit:.0f} s"


def _stored(connect: KafkaConnect, name: str) -> list[BinlogPosition]:
    """Empty while the connector has stored no position."""
    return [
        BinlogPosition.from_debezium(item["offset"]) for item in connect.offsets(name) if item.get("offset")
    ]


def _all_reached(ends: dict[int, int], committed: dict[int, int]) -> bool:
    return all(committed.get(partition, 0) >= end for partition, end in ends.items())


def end_offsets(client: AdminClient, topic: str) -> dict[int, int]:
    """Partition -> the offset after its last record. Empty if there is no such topic."""
    return _offsets(client, topic, kafka.LATEST)


def _offsets(client: AdminClient, topic: str, spec: OffsetSpec) -> dict[int, int]:
    described = client.list_topics(topic, timeout=REQUEST_SECONDS).topics[topic]
    if described.error is not None:
        if described.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return {}
        raise KafkaException(described.error)
    partitions = [(topic, partition) for partition in described.partitions]
    found = kafka.partition_offsets(
        client, partitions, spec, isolation=IsolationLevel.READ_UNCOMMITTED, limit=REQUEST_SECONDS
    )
    return {partition: offset for (_, partition), offset in found.items()}


def committed_offsets(client: AdminClient, group: str, topic: str, partitions: list[int]) -> dict[int, int]:
    """Partition -> the group's committed offset, below zero where it has none."""
    request = ConsumerGroupTopicPartitions(
        group, [TopicPartition(topic, partition) for partition in partitions]
    )
    answer = client.list_consumer_group_offsets([request], request_timeout=REQUEST_SECONDS)[group]
    return {
        partition.partition: partition.offset for partition in answer.result(REQUEST_SECONDS).topic_partitions
    }


def dead_letters(endpoints: Endpoints, table: Table) -> int:
    """The number of the table's dead letters that Kafka retains, replayed or not; 0 if Kafka is
    unavailable."""
    try:
        client, topic = kafka.admin(endpoints.kafka), dlq_of(topic_of(table))
        first = _offsets(client, topic, kafka.EARLIEST)
        return sum(end - first.get(partition, end) for partition, end in end_offsets(client, topic).items())
    except KafkaException:
        return 0
