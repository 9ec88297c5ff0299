"""Alerts as a result table: written to their topic as they change, and read back by a streamer that starts."""

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
from core.settings import Endpoints
from core.wire import confluent
from schemas.names import topic_of
from schemas.render.clickhouse import storage_table
from schemas.render.result_record import envelope
from schemas.table import Table
from streamer.alerts import Alert, Subject
from streamer.ground import JobRun
from streamer.tail import Tail
from streamer.tenant import Row

SOURCE = {"connector": "streamer", "db": "", "snapshot": None, "file": "", "pos": 0, "row": 0}
COLUMNS = (
    *("account_id", "alert_id", "metric", "level", "queue_id", "agent_id"),
    *("value", "threshold", "raised_at", "acknowledged_by", "acknowledged_at"),
)
GROUP = "switchboard-streamer"
"""It reads from given offsets and commits nothing."""
Key = tuple[int, str]
log = logging.get("streamer")


class Ledger:
    """`write` never blocks: what Kafka does not take is told in the log."""

    def __init__(self, endpoints: Endpoints, table: Table) -> None:
        self._endpoints = endpoints
        self._registry = Registry(endpoints.registry)
        self._producer = kafka.producer(endpoints.kafka)
        self._table = table
        self._schema: Any = None
        self._id = 0

    def standing(self) -> list[tuple[int, Alert]]:
        """(tenant, alert) of those that have not been cleared, as their topic tells: what has not landed yet, too.

        Blocks on the registry, ClickHouse and Kafka. Raises TransientError.
        """
        text = envelope(self._table)
        self._id = self._registry.register(f"{topic_of(self._table)}-value", text)
        self._schema = fastavro.parse_schema(text)
        client, rows = clickhouse.connect(self._endpoints.clickhouse), storage_table(self._table)
        with clickhouse.answering(self._endpoints.clickhouse):
            landed = client.query(f"SELECT _partition, max(_offset) FROM {rows} GROUP BY _partition").result_rows
            found = client.query(f"SELECT {', '.join(COLUMNS)} FROM {rows} FINAL WHERE cleared_at IS NULL").result_rows
        alerts = [dict(zip(COLUMNS, row, strict=True)) | {"cleared_at": None} for row in found]
        standing: dict[Key, Row] = {}
        for row in [*alerts, *self._not_landed({int(part): int(offset) for part, offset in landed})]:
            standing[row["account_id"], row["alert_id"]] = row
        return [(int(row["account_id"]), _read(row)) for row in standing.values() if row["cleared_at"] is None]

    def _not_landed(self, landed: Mapping[int, int]) -> list[Row]:
        """In the order of the topic. `landed` are the newest offsets in ClickHouse."""
        topic, found = topic_of(self._table), list[Row]()
        with kafka.answering(self._endpoints.kafka):
            live = kafka.admin(self._endpoints.kafka).list_topics(timeout=15).topics.get(topic)
        if live is None:
            return []
        making = {topic: JobRun(1, len(live.partitions))}
        tail = Tail(self._endpoints.kafka, self._endpoints.registry, [self._table], making, GROUP)
        try:
            tail.assign([TopicPartition(topic, part, landed.get(part, -1) + 1) for part in live.partitions])
            tail.catch_up(lambda change: found.append(change.row) if change.row is not None else None)
        finally:
            tail.close()
        return found

    def write(self, tenant: int, alerts: Iterable[Alert]) -> None:
        now = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
        for alert in alerts:
            key = json.dumps({"account_id": tenant, "alert_id": alert.id}, separators=(",", ":")).encode()
            sent = io.BytesIO()
            change = {"before": None, "after": _row(tenant, alert), "source": {**SOURCE, "ts_ms": now}, "op": "u"}
            fastavro.schemaless_writer(sent, self._schema, change)
            try:
                self._producer.produce(topic_of(self._table), key=key, value=confluent.frame(self._id, sent.getvalue()), on_delivery=_told)
            except BufferError:
                log.error("an alert is not written, as Kafka takes nothing", tenant=tenant, alert=alert.id)
        self._producer.poll(0)

    def close(self, limit: float = 10) -> None:
        """Blocks until all is written, `limit` seconds at most."""
        if left := self._producer.flush(limit):
            log.error("alerts are not written, as Kafka takes nothing", count=left)


def _told(error: KafkaError | None, message: Message) -> None:
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


def _read(row: Row) -> Alert:
    subject = Subject(row["metric"], row["queue_id"], row["agent_id"])
    minded = (row["acknowledged_by"] or "", row["acknowledged_at"])
    return Alert(row["alert_id"], subject, row["level"], row["value"], row["threshold"], row["raised_at"], None, *minded)
