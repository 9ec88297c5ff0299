"""A topic full of change records: fifteen columns in the Debezium envelope, as a connector would have written
them."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import fastavro
import requests
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from sqlalchemy import delete

from consumers.generations import await_topic, bind, identity
from core.clients import clickhouse, kafka
from core.clients.topic_identity import TopicDescriber
from core.control import ControlDatabase
from core.control.models import KnownSchema, TopicGeneration
from core.errors import TransientError
from core.settings import Endpoints
from core.wire import avro, confluent
from schemas import privacy as p
from schemas import types as t
from schemas.names import topic_of
from schemas.render import clickhouse as render
from schemas.table import ClickHouse, Latest, Shards, Table, immutable, optional

PARTITIONS = 4
TEMPLATES = 500
FIRST_ID = 1 << 28
"""Ids from here on are spelled in five bytes, as ids of a grown table are."""
TOPIC_LIMITS = {"retention.ms": "-1", "max.message.bytes": str(16 << 20)}


def contract(name: str) -> Table:
    """Fifteen columns of the kinds that a contact centre has; nothing of the sample's."""
    columns = [immutable(1, "id", t.UInt(64), p.PUBLIC), immutable(2, "account_id", t.UInt(32), p.PUBLIC)]
    columns += [optional(3 + i, f"text_{i}", t.Text(), p.PUBLIC) for i in range(5)]
    columns += [optional(8 + i, f"number_{i}", t.Int(64), p.PUBLIC) for i in range(4)]
    columns += [
        optional(12, "cost", t.Decimal(18, 4), p.PUBLIC),
        optional(13, "score", t.Float(64), p.PUBLIC),
    ]
    columns += [
        optional(14, "at", t.DateTime(3), p.PUBLIC),
        optional(15, "updated_at", t.Timestamp(6), p.PUBLIC),
    ]
    order = ClickHouse(order_by=("account_id", "id"))
    return Table(
        name=name,
        source=Shards("bench"),
        key=("id",),
        history=Latest(),
        columns=tuple(columns),
        clickhouse=order,
    )


def envelope(name: str) -> dict[str, Any]:
    """The record's schema as Debezium's converter registers it."""
    fields: list[dict[str, Any]] = [{"name": "id", "type": "long"}, {"name": "account_id", "type": "long"}]
    fields += [{"name": f"text_{i}", "type": ["null", "string"]} for i in range(5)]
    fields += [{"name": f"number_{i}", "type": ["null", "long"]} for i in range(4)]
    decimal = {"type": "bytes", "scale": 4, "precision": 18, "logicalType": "decimal"}
    fields += [{"name": "cost", "type": ["null", decimal]}, {"name": "score", "type": ["null", "double"]}]
    fields.append(
        {"name": "at", "type": ["null", {"type": "long", "connect.name": "io.debezium.time.Timestamp"}]}
    )
    fields.append(
        {
            "name": "updated_at",
            "type": ["null", {"type": "string", "connect.name": "io.debezium.time.ZonedTimestamp"}],
        }
    )
    kinds = {
        "version": "string",
        "connector": "string",
        "name": "string",
        "ts_ms": "long",
        "db": "string",
        "table": "string",
    }
    kinds |= {"server_id": "long", "file": "string", "pos": "long", "row": "int"}
    source = {
        "type": "record",
        "name": "Source",
        "fields": [{"name": key, "type": kind} for key, kind in kinds.items()],
    }
    members = [
        {"name": "before", "type": ["null", {"type": "record", "name": "Value", "fields": fields}]},
        {"name": "after", "type": ["null", "Value"]},
        {"name": "source", "type": source},
        {"name": "op", "type": "string"},
        {"name": "ts_ms", "type": ["null", "long"]},
    ]
    return {"type": "record", "name": "Envelope", "namespace": name, "fields": members}


def _record(number: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": 0,
        "account_id": number % 300,
        "score": number / 7,
        "at": 1_700_000_000_000 + number * 977,
    }
    row |= {
        f"text_{i}": f"words of column {i}, {number * 7919}" if (number + i) % 9 else None for i in range(5)
    }
    row |= {f"number_{i}": number * (i + 1) for i in range(4)}
    row |= {"cost": f"{number}.2345", "updated_at": f"2026-01-02T03:04:05.{number:06}Z"}
    source = {
        "version": "3.6",
        "connector": "mysql",
        "name": "main",
        "ts_ms": int(time.time() * 1000),
        "db": "bench",
        "table": "bench",
    }
    source |= {"server_id": 1, "file": "binlog.000001", "pos": number * 311, "row": 0}
    return {"before": None, "after": row, "source": source, "op": "c", "ts_ms": 1}


def _tails(schema: dict[str, Any]) -> list[bytes]:
    """Records of varied content, each without its head: the unions' branches and the id, which is the row's
    first field."""
    from decimal import Decimal

    parsed = fastavro.parse_schema(schema)
    tails = []
    for number in range(TEMPLATES):
        record, out = _record(number), io.BytesIO()
        record["after"]["cost"] = Decimal(record["after"]["cost"])
        fastavro.schemaless_writer(out, parsed, record)
        tails.append(out.getvalue()[3:])
    return tails


def register(endpoints: Endpoints, topic: str) -> tuple[int, dict[str, Any]]:
    """(the schema's id, the schema), made known to the registry over its Confluent API."""
    schema = envelope(topic.replace(".", "_"))
    url = f"{endpoints.registry.confluent}/subjects/{topic}-value/versions"
    answer = requests.post(url, json={"schema": json.dumps(schema)}, timeout=30)
    answer.raise_for_status()
    return int(answer.json()["id"]), schema


def fill(endpoints: Endpoints, topic: str, rows: int) -> float:
    """Writes `rows` records with ids of their own; returns the seconds it took."""
    identity, schema = register(endpoints, topic)
    head, tails = confluent.frame(identity, b"\x00\x02"), _tails(schema)
    producer = kafka.producer(
        endpoints.kafka, **{"queue.buffering.max.messages": 400_000, "queue.buffering.max.kbytes": 256 << 10}
    )
    started = time.monotonic()
    for base in range(0, rows, 64):
        for position, encoded in enumerate(avro.longs_of_run(FIRST_ID + base)[: rows - base]):
            number = base + position
            _produce(producer, topic, head + encoded + tails[number % TEMPLATES], number % PARTITIONS)
    if producer.flush(120):
        raise TransientError(f"topic {topic} is not filled: no answer in 120 s", "is Kafka running?")
    return time.monotonic() - started


def _produce(producer: Producer, topic: str, value: bytes, partition: int) -> None:
    while True:
        try:
            producer.produce(topic, key=b"{}", value=value, partition=partition)
            return
        except BufferError:
            producer.poll(0.05)


def make_topic(endpoints: Endpoints, control: ControlDatabase, table: Table) -> None:
    """An empty topic, bound as its table's generation. One that an earlier, killed run left goes first."""
    drop(endpoints, control, table)
    topic, admin = topic_of(table), AdminClient({"bootstrap.servers": endpoints.kafka.bootstrap})
    created = NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1, config=TOPIC_LIMITS)
    admin.create_topics([created])[topic].result(30)
    describer = TopicDescriber(endpoints.kafka)
    await_topic(describer, topic, exists=True)
    bind(control, topic, identity(describer, topic))
    describer.close()


def make_table(endpoints: Endpoints, table: Table) -> None:
    """The table, empty."""
    client = clickhouse.connect(endpoints.clickhouse)
    client.command(f"CREATE DATABASE IF NOT EXISTS {render.STORAGE_DATABASE}")
    client.command(f"DROP TABLE IF EXISTS {render.storage_table(table)} SYNC")
    client.command(render.create_storage_table(table))


def drop(endpoints: Endpoints, control: ControlDatabase, table: Table) -> None:
    """Leaves nothing of the benchmark behind: table, topic, subject, and what the control database
    remembers."""
    topic = topic_of(table)
    clickhouse.connect(endpoints.clickhouse).command(
        f"DROP TABLE IF EXISTS {render.storage_table(table)} SYNC"
    )
    admin = AdminClient({"bootstrap.servers": endpoints.kafka.bootstrap})
    if topic in admin.list_topics(timeout=15).topics:
        admin.delete_topics([topic])[topic].result(30)
        while topic in admin.list_topics(timeout=15).topics:
            time.sleep(0.1)
    subject = f"{endpoints.registry.confluent}/subjects/{topic}-value"
    latest = requests.get(f"{subject}/versions/latest", timeout=30)
    with control.session() as session:
        session.execute(delete(TopicGeneration).where(TopicGeneration.topic == topic))
        session.execute(delete(KnownSchema).where(KnownSchema.topic == topic))
        if latest.ok:
            requests.delete(subject, timeout=30)
