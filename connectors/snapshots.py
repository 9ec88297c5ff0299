"""Incremental snapshots: asked for by a signal in Kafka, followed by Debezium's notifications."""

from __future__ import annotations

import io
import json
import re
import struct
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fastavro
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from core import logging
from core.clients.kafka import partition_reader, producer
from core.clients.registry import Registry
from core.errors import TransientError
from core.settings import Endpoints, KafkaEndpoint
from core.wire import confluent
from schemas.names import mysql_name
from schemas.render.connect import notification_topic, signal_topic

ODD = re.compile(r"[\s.`'\"]")

log = logging.get("connectors")


@dataclass(frozen=True)
class SnapshotEvent:
    """`kind` is STARTED, IN_PROGRESS, PAUSED, RESUMED, TABLE_SCAN_COMPLETED, COMPLETED or ABORTED.

    `id` is the newest signal's, whichever one the snapshot was asked for by: tell events apart by `collection` and
    `offset`, their place in the notification topic. `status` tells how the scan of a table ended.
    """

    id: str
    kind: str
    collection: str
    rows: int | None
    status: str = ""
    collections: tuple[str, ...] = ()
    """All that were queued at this moment; for ABORTED, those that were taken out."""
    last_key: str = ""
    maximum_key: str = ""
    offset: int = 0


def request_snapshot(kafka: KafkaEndpoint, server: str, collections: Sequence[str], where: str | None = None) -> str:
    """Asks for ``database.table`` collections to be read again, only rows that fulfil `where` if given.

    Returns the snapshot's id once Kafka holds the signal. Debezium queues signals and resumes them after a crash.
    """
    identity = uuid.uuid4().hex
    data: dict[str, object] = {"type": "INCREMENTAL", "data-collections": [spelled(name) for name in collections]}
    if where is not None:
        names = {form for name in collections for form in (_escaped(name), _escaped(spelled(name)))}
        data["additional-conditions"] = [{"data-collection": name, "filter": where} for name in sorted(names)]
    send_signal(kafka, server, identity, "execute-snapshot", data)
    return identity


def pause_snapshots(kafka: KafkaEndpoint, server: str) -> None:
    """Stops reading chunks; the stream goes on. A restart of the connector forgets it, unless it comes at once."""
    send_signal(kafka, server, uuid.uuid4().hex, "pause-snapshot", {"type": "INCREMENTAL"})


def resume_snapshots(kafka: KafkaEndpoint, server: str) -> None:
    send_signal(kafka, server, uuid.uuid4().hex, "resume-snapshot", {"type": "INCREMENTAL"})


def stop_snapshots(kafka: KafkaEndpoint, server: str, collections: Sequence[str] = ()) -> None:
    """Takes these collections, or all, out of the queue. What was read of them stays in the topics.

    Resumes first: a snapshot that is stopped while paused would leave every later one paused too.
    """
    resume_snapshots(kafka, server)
    data: dict[str, object] = {"type": "INCREMENTAL"}
    if collections:
        data["data-collections"] = [spelled(name) for name in collections]
    send_signal(kafka, server, uuid.uuid4().hex, "stop-snapshot", data)


def send_signal(kafka: KafkaEndpoint, server: str, identity: str, kind: str, data: dict[str, object]) -> None:
    """Blocks until Kafka holds the signal, 30 s at most."""
    value = json.dumps({"id": identity, "type": kind, "data": data})
    sender = producer(kafka)
    sender.produce(signal_topic(server), key=server.encode(), value=value.encode())
    if sender.flush(30):
        raise TransientError(f"Kafka at {kafka.bootstrap} did not take the signal in 30 s", "is it running?")


def spelled(collection: str) -> str:
    """A ``database.table`` as Debezium wants it in a signal: a pattern of names, or, if that matches none, one name that it
    parses. A name with a space, a quote or a dot it parses only in backticks, which no pattern of its matches."""
    database, _, table = collection.partition(".")
    if ODD.search(database) or ODD.search(table):
        return ".".join(mysql_name(part) if ODD.search(part) else part for part in (database, table))
    return _escaped(collection)


def _escaped(text: str) -> str:
    return "".join("\\" + character if character in "\\^$|?*+()[]{}" else character for character in text)


def notified(kafka: KafkaEndpoint, server: str) -> int:
    """The offset that the server's next notification will have, or a later one."""
    reader = partition_reader(kafka)
    try:
        _, end = reader.get_watermark_offsets(TopicPartition(notification_topic(server), 0), timeout=15)
        return int(end)
    except KafkaException as error:
        raise TransientError(f"Kafka at {kafka.bootstrap} does not tell how far {notification_topic(server)} is") from error
    finally:
        reader.close()


def follow(endpoints: Endpoints, server: str, limit: float, since: int = 0) -> Iterator[SnapshotEvent]:
    """The server's snapshot notifications from offset `since` on, up to the newest. Blocks up to `limit` seconds."""
    for offset, record in _notifications(endpoints, server, limit, since):
        if record.get("aggregate_type") == "Incremental Snapshot":
            yield _event(record, offset)


def has_started(endpoints: Endpoints, server: str, since: int) -> bool:
    """Whether a task of the server's connector has begun since the notification at offset `since`. Blocks up to 15 s."""
    notifications = _notifications(endpoints, server, limit=15, since=since)
    return any(record.get("aggregate_type") == "Initial Snapshot" for _, record in notifications)


def _notifications(endpoints: Endpoints, server: str, limit: float, since: int) -> Iterator[tuple[int, dict[str, Any]]]:
    topic = notification_topic(server)
    schemas: dict[int, Any] = {}
    registry = Registry(endpoints.registry)
    reader = partition_reader(endpoints.kafka)
    try:
        reader.assign([TopicPartition(topic, 0, since)])
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            message = reader.poll(1)
            if message is None:
                continue
            if (error := message.error()) is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    return
                if not error.retriable():
                    raise TransientError(f"{topic} cannot be read: {error.str()}", "is Kafka running?")
                continue
            yield message.offset() or 0, _decoded(message.value() or b"", schemas, registry)
    finally:
        reader.close()


def _decoded(value: bytes, schemas: dict[int, Any], registry: Registry) -> dict[str, Any]:
    """Notifications pass through the connector's value converter: Avro in Confluent framing.

    One that cannot be read tells nothing: a load whose end it told counts as lost after a while, and is asked for again.
    """
    identity = confluent.schema_id(value)
    if identity is None:
        return {}
    if identity not in schemas:
        text = registry.schema(identity)
        schemas[identity] = None if text is None else fastavro.parse_schema(json.loads(text))
    if schemas[identity] is None:
        log.warning("a notification has a schema that the registry does not know", schema_id=identity)
        return {}
    try:
        record = fastavro.schemaless_reader(io.BytesIO(value[confluent.HEADER_SIZE :]), schemas[identity], None)
    except (ValueError, EOFError, IndexError, struct.error) as error:
        log.warning("a notification cannot be read", schema_id=identity, error=str(error))
        return {}
    return record if isinstance(record, dict) else {}


def _event(record: dict[str, Any], offset: int) -> SnapshotEvent:
    more = record.get("additional_data") or {}
    rows = more.get("total_rows_scanned")
    return SnapshotEvent(
        id=str(record.get("id")),
        kind=str(record.get("type")),
        collection=more.get("current_collection_in_progress") or more.get("scanned_collection") or "",
        rows=int(rows) if rows else None,
        status=more.get("status") or "",
        collections=tuple(name for name in (more.get("data_collections") or "").split(",") if name),
        last_key=more.get("last_processed_key") or "",
        maximum_key=more.get("maximum_key") or "",
        offset=offset,
    )
