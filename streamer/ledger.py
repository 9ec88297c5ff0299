"""Alerts as a result table: written to their topic as they change, and read back by a streamer that starts."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

import fastavro
from confluent_kafka import KafkaError, Message

from core import logging
from core.clients import clickhouse
from core.clients.kafka import producer
from core.clients.registry import Registry
from core.settings import Endpoints
from core.wire import confluent
from schemas.names import topic_of
from schemas.render.clickhouse import rows_table
from schemas.render.result_record import envelope
from schemas.table import Table
from streamer.alerts import Alert, Subject

SOURCE = {"connector": "streamer", "db": "", "snapshot": None, "file": "", "pos": 0, "row": 0}
COLUMNS = "account_id, alert_id, metric, level, queue_id, agent_id, value, threshold, raised_at, acknowledged_by, acknowledged_at"
log = logging.get("streamer")


class Ledger:
    """`write` never blocks: what Kafka does not take is told in the log."""

    def __init__(self, endpoints: Endpoints, table: Table) -> None:
        self._clickhouse = endpoints.clickhouse
        self._registry = Registry(endpoints.registry)
        self._producer = producer(endpoints.kafka)
        self._table = table
        self._schema: Any = None
        self._id = 0

    def standing(self) -> list[tuple[int, Alert]]:
        """(tenant, alert) of those that have not been cleared. Blocks on the registry and ClickHouse."""
        text = envelope(self._table)
        self._id = self._registry.register(f"{topic_of(self._table)}-value", text)
        self._schema = fastavro.parse_schema(text)
        query = f"SELECT {COLUMNS} FROM {rows_table(self._table)} FINAL WHERE cleared_at IS NULL"
        return [_read(row) for row in clickhouse.connect(self._clickhouse).query(query).result_rows]

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


def _read(row: Sequence[Any]) -> tuple[int, Alert]:
    tenant, identity, metric, level, queue, agent, value, threshold, raised, by, at = row
    found = Alert(identity, Subject(metric, queue, agent), level, value, threshold, raised, None, by or "", at)
    return int(tenant), found
