"""Incremental snapshots: asked for by a signal in Kafka, followed by Debezium's notifications."""

from __future__ import annotations

import io
import json
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fastavro
from confluent_kafka import Consumer, TopicPartition

from core.clients.kafka import producer
from core.clients.registry import Registry
from core.errors import TransientError
from core.settings import Endpoints, KafkaEndpoint
from core.wire import confluent
from schemas.render.connect import notification_topic, signal_topic


@dataclass(frozen=True)
class SnapshotEvent:
    """`kind` is STARTED, IN_PROGRESS, TABLE_SCAN_COMPLETED, COMPLETED, ABORTED or SKIPPED."""

    id: str
    kind: str
    collection: str
    rows: int | None


def request_snapshot(kafka: KafkaEndpoint, server: str, collections: Sequence[str], where: str | None = None) -> str:
    """Asks for ``database.table`` collections to be read again, only rows that fulfil `where` if given.

    Returns the snapshot's id once Kafka holds the signal. Debezium queues signals and resumes them after a crash.
    """
    identity = uuid.uuid4().hex
    data: dict[str, object] = {"type": "INCREMENTAL", "data-collections": [_quoted(name) for name in collections]}
    if where is not None:
        data["additional-conditions"] = [{"data-collection": _quoted(name), "filter": where} for name in collections]
    send_signal(kafka, server, identity, "execute-snapshot", data)
    return identity


def send_signal(kafka: KafkaEndpoint, server: str, identity: str, kind: str, data: dict[str, object]) -> None:
    """Blocks until Kafka holds the signal, 30 s at most."""
    value = json.dumps({"id": identity, "type": kind, "data": data})
    sender = producer(kafka)
    sender.produce(signal_topic(server), key=server.encode(), value=value.encode())
    if sender.flush(30):
        raise TransientError(f"Kafka at {kafka.bootstrap} did not take the signal in 30 s", "is it running?")


def _quoted(collection: str) -> str:
    """Debezium reads data-collections as patterns of ``database.table``."""
    return "".join("\\" + character if character in "\\^$|?*+()[]{}" else character for character in collection)


def follow(endpoints: Endpoints, server: str, limit: float) -> Iterator[SnapshotEvent]:
    """The server's snapshot notifications from the oldest on, up to the newest. Blocks up to `limit` seconds."""
    topic = notification_topic(server)
    schemas: dict[int, Any] = {}
    registry = Registry(endpoints.registry)
    reader = Consumer(
        {
            "bootstrap.servers": endpoints.kafka.bootstrap,
            "group.id": f"switchboard-notifications-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "log_level": 2,
        }
    )
    try:
        reader.assign([TopicPartition(topic, 0, 0)])
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            message = reader.poll(1)
            if message is None:
                continue
            if message.error():
                return
            event = _event(_decoded(message.value() or b"", schemas, registry))
            if event is not None:
                yield event
    finally:
        reader.close()


def _decoded(value: bytes, schemas: dict[int, Any], registry: Registry) -> dict[str, Any]:
    """Notifications pass through the connector's value converter: Avro in Confluent framing."""
    identity = confluent.schema_id(value)
    if identity is None:
        return {}
    if identity not in schemas:
        schemas[identity] = fastavro.parse_schema(json.loads(registry.schema(identity) or "null"))
    record = fastavro.schemaless_reader(io.BytesIO(value[confluent.HEADER_SIZE :]), schemas[identity], None)
    return record if isinstance(record, dict) else {}


def _event(record: dict[str, Any]) -> SnapshotEvent | None:
    if record.get("aggregate_type") != "Incremental Snapshot":
        return None
    more = record.get("additional_data") or {}
    rows = more.get("total_rows_scanned")
    collection = more.get("current_collection_in_progress") or more.get("scanned_collection") or ""
    return SnapshotEvent(str(record.get("id")), str(record.get("type")), collection, int(rows) if rows else None)
