"""Alerts as a result table: written to their topic when they change, and loaded when a streamer starts."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

import fastavro
from confluent_kafka import KafkaError, Message, TopicPartition

from core import logging
from core.clients import clickhouse, kafka
from core.clients.registry import Registry
from core.clock import Clock, system
from core.settings import Endpoints
from core.wire import confluent
from schemas.names import topic_of
from schemas.render.clickhouse import storage_table
from schemas.render.result_record import envelope
from schemas.table import Table
from streamer.sample.alerts import Alert, Subject
from streamer.sample.control_reader import BoundTopic
from streamer.sample.tenant import Row
from streamer.sample.topic_reader import TopicReader

SOURCE = {"connector": "streamer", "db": "", "snapshot": None, "file": "", "pos": 0, "row": 0}
COLUMNS = (
    *("account_id", "alert_id", "metric", "level", "queue_id", "agent_id"),
    *("value", "threshold", "raised_at", "acknowledged_by", "acknowledged_at"),
)
GROUP = "switchboard-streamer"
"""Offsets are given explicitly; nothing is committed."""
Key = tuple[int, str]
log = logging.get("streamer")


class AlertStore:
    """`write` never blocks: alerts that Kafka does not accept are logged."""

    def __init__(self, endpoints: Endpoints, table: Table, clock: Clock = system) -> None:
        self._endpoints = endpoints
        self._clock = clock
        self._registry = Registry(endpoints.registry)
        self._producer = kafka.producer(endpoints.kafka)
        self._table = table
        self._schema: Any = None
        self._id = 0

    def load_active(self) -> list[tuple[int, Alert]]:
        """Returns (tenant, alert) of every alert that is not cleared, including records that have not landed
        yet.

        Blocks for the registry, ClickHouse and Kafka; raises TransientError.
        """
        text = envelope(self._table)
        self._id = self._registry.register(f"{topic_of(self._table)}-value", text)
        self._schema = fastavro.parse_schema(text)
        client, rows = clickhouse.connect(self._endpoints.clickhouse), storage_table(self._table)
        with clickhouse.answering(self._endpoints.clickhouse):
            landed = client.query(
                f"SELECT _partition, max(_offset) FROM {rows} GROUP BY _partition"
            ).result_rows
            found = client.query(
                f"SELECT {', '.join(COLUMNS)} FROM {rows} FINAL WHERE cleared_at IS NULL"
            ).result_rows
        alerts = [dict(zip(COLUMNS, row, strict=True)) | {"cleared_at": None} for row in found]
        newest: dict[Key, Row] = {}
        for row in [*alerts, *self._unlanded({int(part): int(offset) for part, offset in landed})]:
            newest[row["account_id"], row["alert_id"]] = row
        return [(int(row["account_id"]), _alert(row)) for row in newest.values() if row["cleared_at"] is None]

    def _unlanded(self, landed: Mapping[int, int]) -> list[Row]:
        """Returns rows in the order of the topic.

        `landed` maps each partition to its newest offset in ClickHouse.
        """
        topic, found = topic_of(self._table), list[Row]()
        with kafka.answering(self._endpoints.kafka):
            metadata = kafka.admin(self._endpoints.kafka).list_topics(timeout=15).topics.get(topic)
        if metadata is None:
            return []
        bound = {topic: BoundTopic(1, len(metadata.partitions))}
        reader = TopicReader(self._endpoints.kafka, self._endpoints.registry, [self._table], bound, GROUP)
        try:
            reader.assign(
                [TopicPartition(topic, part, landed.get(part, -1) + 1) for part in metadata.partitions]
            )
            reader.catch_up(lambda change: found.append(change.row) if change.row is not None else None)
        finally:
            reader.close()
        return found

    def write(self, tenant: int, alerts: Iterable[Alert]) -> None:
        """Queues the alerts for their topic, after `load_active`."""
        now = int(self._clock() * 1000)
        for alert in alerts:
            key = json.dumps({"account_id": tenant, "alert_id": alert.id}, separators=(",", ":")).encode()
            sent = io.BytesIO()
            change = {
                "before": None,
                "after": _row(tenant, alert),
                "source": {**SOURCE, "ts_ms": now},
                "op": "u",
            }
            fastavro.schemaless_writer(sent, self._schema, change)
            try:
                self._producer.produce(
                    topic_of(self._table),
                    key=key,
                    value=confluent.frame(self._id, sent.getvalue()),
                    on_delivery=_log_failure,
                )
            except BufferError:
                log.error(
                    "an alert is not written: the producer's queue is full", tenant=tenant, alert=alert.id
                )
        self._producer.poll(0)

    def close(self, limit: float = 10) -> None:
        """Blocks until all alerts are written, `limit` seconds at most."""
        if left := self._producer.flush(limit):
            log.error("alerts are not written: Kafka does not answer", count=left)


def _log_failure(error: KafkaError | None, message: Message) -> None:
    if error is not None:
        log.error("an alert is not written", key=str(message.key()), reason=error.str())


def _row(tenant: int, alert: Alert) -> dict[str, Any]:
    return {
        "account_id": tenant,
        "alert_id": alert.id,
        "raised_at": _utc(alert.raised_at),
        "metric": alert.subject.metric,
        "level": alert.level,
        "queue_id": alert.subject.queue_id,
        "agent_id": alert.subject.agent_id,
        "value": float(alert.value),
        "threshold": float(alert.threshold),
        "cleared_at": None if alert.cleared_at is None else _utc(alert.cleared_at),
        "acknowledged_by": alert.acknowledged_by or None,
        "acknowledged_at": None if alert.acknowledged_at is None else _utc(alert.acknowledged_at),
    }


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.replace(tzinfo=dt.UTC)


def _alert(row: Row) -> Alert:
    subject = Subject(row["metric"], row["queue_id"], row["agent_id"])
    acknowledged = (row["acknowledged_by"] or "", row["acknowledged_at"])
    return Alert(
        row["alert_id"],
        subject,
        row["level"],
        row["value"],
        row["threshold"],
        row["raised_at"],
        None,
        *acknowledged,
    )
