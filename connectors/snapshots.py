"""Incremental snapshots: requested by signals in Kafka and followed through Debezium's notifications."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.notifications import read_notifications
from core.clients.kafka import producer
from core.errors import TransientError
from core.settings import Endpoints, KafkaEndpoint
from schemas.names import mysql_name
from schemas.render.connect import signal_topic

NEEDS_QUOTES = re.compile(r"[\s.`'\"]")


@dataclass(frozen=True)
class SnapshotEvent:
    """`kind` is STARTED, IN_PROGRESS, PAUSED, RESUMED, TABLE_SCAN_COMPLETED, COMPLETED or ABORTED.

    `id` is the latest signal's, not necessarily the one that requested the snapshot: events are identified by
    `collection` and `offset` in the notification topic. `status` is the outcome of a table's scan.
    """

    id: str
    kind: str
    collection: str
    rows: int | None
    status: str = ""
    collections: tuple[str, ...] = ()
    """The queued collections; for ABORTED, those that were removed from the queue."""
    last_key: str = ""
    maximum_key: str = ""
    offset: int = 0
    time_ms: int = 0
    """When Debezium sent it, since the epoch."""


def request_snapshot(
    kafka: KafkaEndpoint, server: str, collections: Sequence[str], where: str | None = None
) -> str:
    """Requests a snapshot of ``database.table`` collections, of rows that match the SQL condition `where` if
    given.

    Returns the signal's id once Kafka has acknowledged the signal. Debezium queues signals and resumes after
    a crash.
    """
    identity = uuid.uuid4().hex
    data: dict[str, object] = {
        "type": "INCREMENTAL",
        "data-collections": [escape_collection(name) for name in collections],
    }
    if where is not None:
        names = {form for name in collections for form in (_escaped(name), _escaped(escape_collection(name)))}
        data["additional-conditions"] = [{"data-collection": name, "filter": where} for name in sorted(names)]
    send_signal(kafka, server, identity, "execute-snapshot", data)
    return identity


def pause_snapshots(kafka: KafkaEndpoint, server: str) -> None:
    """Pauses reading chunks; the stream continues. A later restart of the connector ends the pause."""
    send_signal(kafka, server, uuid.uuid4().hex, "pause-snapshot", {"type": "INCREMENTAL"})


def resume_snapshots(kafka: KafkaEndpoint, server: str) -> None:
    """Continues reading chunks, once the chunk that was read before the pause is published (decision 34)."""
    send_signal(kafka, server, uuid.uuid4().hex, "resume-snapshot", {"type": "INCREMENTAL"})


def stop_snapshots(kafka: KafkaEndpoint, server: str, collections: Sequence[str] = ()) -> None:
    """Removes these collections, or all, from the queue. Rows that were read already stay in the topics.

    Resumes first: Debezium would keep later snapshots paused if one were stopped while paused.
    """
    resume_snapshots(kafka, server)
    data: dict[str, object] = {"type": "INCREMENTAL"}
    if collections:
        data["data-collections"] = [escape_collection(name) for name in collections]
    send_signal(kafka, server, uuid.uuid4().hex, "stop-snapshot", data)


def send_signal(kafka: KafkaEndpoint, server: str, identity: str, kind: str, data: dict[str, object]) -> None:
    """Blocks until Kafka has acknowledged the signal, for 30 s at most. Raises TransientError after that."""
    value = json.dumps({"id": identity, "type": kind, "data": data})
    sender = producer(kafka)
    sender.produce(signal_topic(server), key=server.encode(), value=value.encode())
    if sender.flush(30):
        raise TransientError(
            f"Kafka at {kafka.bootstrap} did not acknowledge the signal in 30 s", "check `switchboard status`"
        )


def escape_collection(collection: str) -> str:
    """A ``database.table`` in the form that Debezium expects in a signal.

    Debezium takes it as a pattern of names or, if that matches none, parses it as one name. It parses a name
    with a space, a quote or a dot only in backticks, which no pattern matches.
    """
    database, _, table = collection.partition(".")
    if NEEDS_QUOTES.search(database) or NEEDS_QUOTES.search(table):
        return ".".join(mysql_name(part) if NEEDS_QUOTES.search(part) else part for part in (database, table))
    return _escaped(collection)


def _escaped(text: str) -> str:
    return "".join("\\" + character if character in "\\^$|?*+()[]{}" else character for character in text)


def read_snapshot_events(endpoints: Endpoints, server: str, since: int = 0) -> Iterator[SnapshotEvent]:
    """The server's snapshot notifications from offset `since` on, up to the newest. Blocks for Kafka."""
    for offset, record in read_notifications(endpoints, server, since):
        if record.get("aggregate_type") == "Incremental Snapshot":
            yield _event(record, offset)


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
        time_ms=int(record.get("timestamp") or 0),
    )
