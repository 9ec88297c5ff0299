"""The result topics, and the agents' activities, from given offsets on, read by one thread, as changes."""

from __future__ import annotations

import datetime as dt
import io
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fastavro
from confluent_kafka import Message, TopicPartition

from core import logging, metrics
from core.clients.kafka import consumer
from core.clients.registry import Registry
from core.errors import TransientError
from core.settings import KafkaEndpoint, RegistryEndpoint
from core.wire import confluent
from schemas.names import topic_of
from schemas.table import Table
from streamer.state import ACTIVITIES, EPOCH, Change, Row

BATCH = 1000
WAIT_SECONDS = 0.2
log = logging.get("streamer")


class Tail:
    """`take` is called on the tail's thread with each batch of changes, in the order of each partition."""

    def __init__(
        self, kafka: KafkaEndpoint, registry: RegistryEndpoint, tables: Sequence[Table], generations: Mapping[str, int], group: str
    ) -> None:
        self._tables = {topic_of(table): table for table in tables}
        self._generations = generations
        self._registry = Registry(registry)
        self._schemas: dict[int, Any] = {}
        self._reader = consumer(kafka, group, **{"fetch.wait.max.ms": 20, "auto.offset.reset": "earliest"})
        self._stopping = threading.Event()

    def landed(self) -> list[TopicPartition]:
        """Where the landers are: what stands before that is in ClickHouse. Blocks on Kafka, 15 s a topic at most."""
        live = self._reader.list_topics(timeout=15).topics
        places = [TopicPartition(topic, part) for topic in self._tables if topic in live for part in live[topic].partitions]
        found = self._reader.committed(places, timeout=15) if places else []
        return [TopicPartition(place.topic, place.partition, max(place.offset, 0)) for place in found]

    def run(self, places: list[TopicPartition], take: Callable[[list[Change]], None]) -> None:
        """Blocks until `stop`. A record that cannot be read is told in the log and left out."""
        self._reader.assign(places)
        try:
            while not self._stopping.is_set():
                first = self._reader.poll(WAIT_SECONDS)  # `consume` alone waits for a whole batch, or as long as it may
                messages = [] if first is None else [first, *self._reader.consume(BATCH, 0)]
                if changes := [change for message in messages if (change := self._read(message)) is not None]:
                    take(changes)
        finally:
            self._reader.close()

    def stop(self) -> None:
        self._stopping.set()

    def _read(self, message: Message) -> Change | None:
        if message.error() is not None:
            log.warning("kafka", topic=message.topic(), error=str(message.error()))
            return None
        topic, offset = str(message.topic()), int(message.offset() or 0)
        try:
            return self._change(self._tables[topic], message.key(), message.value(), self._generations.get(topic, 1) << 48 | offset << 1)
        except (ValueError, KeyError, EOFError, IndexError, TypeError, TransientError) as error:
            metrics.UNREADABLE_RESULTS.labels(topic).inc()
            log.error("a record cannot be read", topic=topic, partition=message.partition(), offset=offset, error=str(error))
            return None

    def _change(self, table: Table, key: bytes | None, value: bytes | None, version: int) -> Change | None:
        if table.name == ACTIVITIES:
            return self._activity(table, value)
        if value is None:
            parts = json.loads(key or b"{}")
            return Change(table.name, tuple(_plain(table, name, parts[name]) for name in table.key), None, version, 0)
        envelope = self._decoded(value)
        row: Row = {name: _plain(table, name, field) for name, field in (envelope["after"] or envelope["before"]).items()}
        gone = envelope["after"] is None
        committed = int(envelope["source"]["ts_ms"])
        return Change(table.name, tuple(row[name] for name in table.key), None if gone else row, version, committed)

    def _activity(self, table: Table, value: bytes | None) -> Change | None:
        """None of what takes an activity back."""
        envelope = None if value is None else self._decoded(value)
        if envelope is None or envelope["after"] is None:
            return None
        row: Row = {name: envelope["after"][name] for name in ("account_id", "agent_id", "activity_id", "state")}
        row["occurred_at"] = EPOCH + dt.timedelta(microseconds=envelope["after"]["occurred_at"])
        return Change(table.name, (row["account_id"], row["agent_id"]), row, 0, int(envelope["source"]["ts_ms"]))

    def _decoded(self, value: bytes) -> dict[str, Any]:
        identity = confluent.schema_id(value)
        if identity is None:
            raise ValueError("it is not in Confluent framing")
        if identity not in self._schemas:
            self._schemas[identity] = fastavro.parse_schema(json.loads(self._registry.schema(identity) or "null"))
        decoded = fastavro.schemaless_reader(io.BytesIO(value[confluent.HEADER_SIZE :]), self._schemas[identity], None)
        assert isinstance(decoded, dict)
        return decoded


def _plain(table: Table, name: str, value: Any) -> Any:
    """Times in UTC without a zone, whether they come as a number of ms, with a zone, or as a key's text."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, str) and name in table.key:
        return dt.datetime.fromisoformat(value.removesuffix("Z"))
    return value
