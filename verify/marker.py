"""How it is known that everything MySQL had committed is landed: the marker that a recheck waits for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from connectors.rest import KafkaConnect
from core.clients import kafka
from core.errors import SwitchboardError
from core.settings import Endpoints
from schemas.names import dlq_of, topic_of
from schemas.render.connect import connector_name
from schemas.table import Table
from verify.sides import MySqlSide, Position

POLL_SECONDS = 0.2
REQUEST_SECONDS = 10.0


class Marker(Protocol):
    def wait(self) -> str:
        """Blocks until all that the source had committed at the call is landed; returns why not, if it gave up."""
        ...


@dataclass(frozen=True)
class Pipeline:
    """The marker of one table of one server: its connector's position, then the landers' offsets."""

    endpoints: Endpoints
    source: MySqlSide
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
            return f"Kafka does not tell offsets: {error.args[0]}"

    def _published(self, deadline: float) -> str:
        """The server's heartbeats move the connector's stored position: `MySqlServer.keep_alive_seconds`, where nothing is written."""
        name = connector_name(self.source.server.name)
        connect = KafkaConnect(self.endpoints.connect, patience=max(1.0, self.limit / 3))
        if name not in connect.names():
            return f"there is no connector {name}, so nothing tells what was landed"
        committed = self.source.position()
        reached = _until(deadline, lambda: any(self._covers(stored, committed) for stored in _stored(connect, name)))
        return "" if reached else f"connector {name} did not reach the source's position in {self.limit:.0f} s"

    def _covers(self, stored: Position, committed: Position) -> bool:
        """Debezium leaves out the GTID of a DDL that nothing follows; the place in the files then tells that it was read."""
        return committed.precedes(stored) or self.source.contains_gtids(stored.gtids, committed.gtids)

    def _landed(self, deadline: float) -> str:
        """To the end of the log, open transactions included: what was committed stands before it."""
        topic, client = topic_of(self.table), kafka.admin(self.endpoints.kafka)
        ends = end_offsets(client, topic)
        if not ends:
            return f"there is no topic {topic}"
        reached = _until(deadline, lambda: _all_reached(ends, committed_offsets(client, self.group, topic, list(ends))))
        return "" if reached else f"the landers did not reach the end of {topic} in {self.limit:.0f} s"


def _until(deadline: float, check: Callable[[], bool]) -> bool:
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _stored(connect: KafkaConnect, name: str) -> list[Position]:
    """Empty while the connector has stored no position."""
    return [Position.stored(item["offset"]) for item in connect.offsets(name) if item.get("offset")]


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
    found = kafka.partition_offsets(client, partitions, spec, isolation=IsolationLevel.READ_UNCOMMITTED, limit=REQUEST_SECONDS)
    return {partition: offset for (_, partition), offset in found.items()}


def committed_offsets(client: AdminClient, group: str, topic: str, partitions: list[int]) -> dict[int, int]:
    """Partition -> the group's committed offset, below zero where it has none."""
    request = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, partition) for partition in partitions])
    answer = client.list_consumer_group_offsets([request], request_timeout=REQUEST_SECONDS)[group]
    return {place.partition: place.offset for place in answer.result(REQUEST_SECONDS).topic_partitions}


def dead_letters(endpoints: Endpoints, table: Table) -> int:
    """How many records of the table were set aside and are still kept, replayed or not. Zero if Kafka does not say."""
    try:
        client, topic = kafka.admin(endpoints.kafka), dlq_of(topic_of(table))
        first = _offsets(client, topic, kafka.EARLIEST)
        return sum(end - first.get(partition, end) for partition, end in end_offsets(client, topic).items())
    except KafkaException:
        return 0
