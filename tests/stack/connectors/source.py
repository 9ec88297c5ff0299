"""A Debezium of a test's own, its tables and topics; removed without a trace."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from confluent_kafka import Message

from connectors.capture_service import CaptureService
from connectors.planner import ConnectPlanner
from connectors.rest import KafkaConnect
from consumers.topic_planner import TopicPlanner
from core.clients import mysql
from core.clients.kafka import admin, read_partitions
from core.clients.registry import Registry
from core.control import ControlDatabase
from core.settings import Endpoints, MySqlServer, TopicSettings
from core.wire.record import RecordDecoder
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog
from schemas.plan_step import Step
from schemas.render.connect import connector_name, internal_topics
from schemas.table import Latest, Metadata, Shards, Table, immutable, optional
from switchboard.plan import plan as planning
from tests.pipeline import eventually

CHUNK_ROWS = 100
"""Of a snapshot: few, so that few rows make several chunks."""
DDL = "CREATE TABLE {} (id BIGINT NOT NULL PRIMARY KEY, note VARCHAR(50))"


def contract(name: str, source: Shards | Metadata) -> Table:
    columns = (immutable(1, "id", t.Int(64), p.PUBLIC), optional(2, "note", t.Text(), p.PUBLIC))
    return Table(name=name, source=source, key=("id",), history=Latest(), columns=columns)


@dataclass(frozen=True)
class Record:
    key: Any
    value: dict[str, Any] | None
    partition: int

    @property
    def op(self) -> str:
        return "tombstone" if self.value is None else str(self.value["op"])

    @property
    def shard(self) -> str:
        return "" if self.value is None else str(self.value["source"]["db"])


@dataclass
class Read:
    """What was read of a topic, and how far."""

    records: list[Record] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)


@dataclass
class Source:
    endpoints: Endpoints
    control: ControlDatabase
    _read: dict[str, Read] = field(default_factory=dict)

    @cached_property
    def _decoder(self) -> RecordDecoder:
        return RecordDecoder(Registry(self.endpoints.registry).schema)

    @property
    def server(self) -> MySqlServer:
        return self.endpoints.mysql[0]

    @property
    def connect(self) -> KafkaConnect:
        return KafkaConnect(self.endpoints.connect)

    def sql(self, database: str, *statements: str) -> None:
        with mysql.cursor(self.server, database) as cursor:
            for statement in statements:
                cursor.execute(statement)

    def fill(self, database: str, table: str, first: int, rows: int) -> None:
        with mysql.cursor(self.server, database) as cursor:
            values = [(identity, f"note {identity}") for identity in range(first, first + rows)]
            cursor.executemany(f"INSERT INTO {table} VALUES (%s, %s)", values)

    def targets(self, *tables: Table) -> list[planning.Planner]:
        catalog = Catalog(tables)
        return [
            TopicPlanner(self.endpoints, TopicSettings(partitions=4), catalog, self.control),
            ConnectPlanner(self.endpoints, catalog, self.control),
        ]

    def plan(self, *tables: Table) -> list[Step]:
        return planning.plan(self.targets(*tables))

    def apply(self, *tables: Table) -> None:
        planning.apply(self.targets(*tables), frozenset(), lambda step: None)

    def loaded(self, *tables: Table, within: float = 60) -> None:
        assert CaptureService(self.endpoints, Catalog(tables), self.control).wait_snapshots(within) == []

    def records(self, topic: str) -> list[Record]:
        """Everything committed, each partition in its order; of what was read before only the end is asked
        for."""
        known = self._read.setdefault(topic, Read())
        partitions = admin(self.endpoints.kafka).list_topics(topic, timeout=10).topics[topic].partitions
        begins = {(topic, number): known.ends.get(number, 0) for number in partitions}
        for message in read_partitions(self.endpoints.kafka, begins):
            known.ends[message.partition() or 0] = (message.offset() or 0) + 1
            known.records.append(record(message, self._decoder))
        return list(known.records)

    def ops(self, topic: str, shard: str) -> Counter[str]:
        return Counter(record.op for record in self.records(topic) if record.shard in (shard, ""))


def record(message: Message, decoder: RecordDecoder) -> Record:
    key, value = message.key(), message.value()
    decoded = None if value is None else decoder.decode(value)
    return Record(None if key is None else json.loads(key), decoded, message.partition() or 0)


@contextmanager
def create_test_source(
    stack: Endpoints, name: str, port: int | None = None, connector_settings: Mapping[str, str] | None = None
) -> Iterator[Source]:
    """A source whose MySQL server, databases, tables and topics are called `name` or begin with it and
    ``_``; `port` if it is reached through another one, `connector_settings` beside
    the rendered ones."""
    settings = {
        "name": name,
        "snapshot_chunk_rows": CHUNK_ROWS,
        "port": port or stack.mysql[0].port,
        "connector_settings": dict(connector_settings or {}),
    }
    server = stack.mysql[0].model_copy(update=settings)
    endpoints = stack.model_copy(update={"mysql": (server,)})
    control = ControlDatabase(endpoints.mysql[0], f"{name}_control")
    control.migrate()
    source = Source(endpoints, control)
    try:
        yield source
    finally:
        _remove(source, name)
        control.close()
        ours = [database for database in mysql.databases(source.server) if database.startswith(f"{name}_")]
        source.sql("mysql", *(f"DROP DATABASE {database}" for database in ours))


def _remove(source: Source, name: str) -> None:
    connector = connector_name(name)
    if connector in source.connect.names():
        source.connect.change(connector, "stop")
        eventually(lambda: source.connect.status(connector)["connector"]["state"] == "STOPPED")
        source.connect.reset_offsets(connector)
        source.connect.delete(connector)
    client = admin(source.endpoints.kafka)
    live = client.list_topics(timeout=10).topics
    ours = [topic for topic in live if topic in internal_topics(name) or f".{name}_" in topic]
    for answer in client.delete_topics(ours).values() if ours else ():
        answer.result(30)
