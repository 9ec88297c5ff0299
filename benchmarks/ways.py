"""Three ways from a topic into a table.

Each starts, and ends once `stop` is set; the race between them is in `race`.
"""

from __future__ import annotations

import datetime as dt
import resource
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from confluent_kafka import Consumer

from consumers.lander import Lander
from core.clients import clickhouse
from core.control import ControlDatabase
from core.settings import Endpoints, LandingSettings
from schemas.catalog import Catalog
from schemas.names import ch_string, topic_of
from schemas.render import clickhouse as render
from schemas.render.avro import structure
from schemas.render.landing import landing_query
from schemas.table import Table

BLOCK = 50_000
ENGINE_TYPES = ("before", "after", "source", "op")


class Flag(Protocol):
    def is_set(self) -> bool: ...

    def set(self) -> None: ...


def land(endpoints: Endpoints, control_name: str, table: Table, ready: Flag, stop: Flag, used: Any) -> None:
    """This project's lander, in a group of its own.

    Runs in a process of its own; puts what it used into `used`.
    """
    control = ControlDatabase(endpoints.control_server, control_name)
    settings = LandingSettings(group=f"bench_{uuid.uuid4().hex}")
    ready.set()
    Lander(endpoints, settings, Catalog((table,)), control, lambda *_: None, stop.is_set).run()
    used.put(_used())


def decode(endpoints: Endpoints, control_name: str, table: Table, ready: Flag, stop: Flag, used: Any) -> None:
    """The ordinary way: AvroDeserializer makes dictionaries, clickhouse-connect inserts them in blocks."""
    # Imported here, so that the memory of the other ways does not hold it.
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroDeserializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    client = clickhouse.connect(endpoints.clickhouse)
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": endpoints.registry.confluent}))
    context = SerializationContext(topic_of(table), MessageField.VALUE)
    names = [name for name, _ in render.all_columns(table)]
    reader = Consumer(
        {
            "bootstrap.servers": endpoints.kafka.bootstrap,
            "group.id": f"bench_{uuid.uuid4().hex}",
            "auto.offset.reset": "earliest",
        }
    )
    reader.subscribe([topic_of(table)])
    ready.set()
    rows: list[list[Any]] = []
    while not stop.is_set():
        for message in reader.consume(5_000, 0.2):
            rows.append(
                _row(
                    table,
                    deserialize(message.value(), context),
                    message.partition() or 0,
                    message.offset() or 0,
                )
            )
        if len(rows) >= BLOCK:
            client.insert(table.name, rows, column_names=names, database=render.STORAGE_DATABASE)
            rows = []
    reader.close()
    used.put(_used())


def _row(table: Table, change: Any, partition: int, offset: int) -> list[Any]:
    after, source = change["after"], change["source"]
    row = [after[name] for name in table.names]
    row[-2] = dt.datetime.fromtimestamp(row[-2] / 1000, dt.UTC)
    row[-1] = dt.datetime.fromisoformat(row[-1])
    committed = dt.datetime.fromtimestamp(source["ts_ms"] / 1000, dt.UTC)
    now = dt.datetime.now(dt.UTC)
    path = [source["file"], source["pos"], source["row"]]
    return [
        *row,
        source["db"],
        partition,
        offset,
        offset << 1,
        int(change["op"] == "d"),
        committed,
        *path,
        now,
    ]


def _used() -> tuple[float, float]:
    """(CPU seconds, peak MB) of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


@contextmanager
def engine(endpoints: Endpoints, table: Table, schema: dict[str, Any]) -> Iterator[None]:
    """ClickHouse's own Kafka engine, with the very conversions of our landing query in a materialized
    view."""
    client = clickhouse.connect(endpoints.clickhouse)
    source, view = (
        f"{render.STORAGE_DATABASE}.`{table.name}_queue`",
        f"{render.STORAGE_DATABASE}.`{table.name}_view`",
    )
    for name in (view, source):
        client.command(f"DROP TABLE IF EXISTS {name} SYNC")
    client.command(_queue(endpoints, table, schema, source))
    try:
        client.command(_view(table, schema, source, view))
        yield
    finally:
        for name in (view, source):
            client.command(f"DROP TABLE IF EXISTS {name} SYNC")


def _queue(endpoints: Endpoints, table: Table, schema: dict[str, Any], source: str) -> str:
    named: dict[str, Any] = {}
    columns = ", ".join(
        f"{item['name']} {structure(item['type'], named)}"
        for item in schema["fields"]
        if item["name"] in ENGINE_TYPES
    )
    settings = {
        "kafka_broker_list": endpoints.kafka.bootstrap,
        "kafka_topic_list": topic_of(table),
        "kafka_group_name": f"bench_{uuid.uuid4().hex}",
        "kafka_format": "AvroConfluent",
        "format_avro_schema_registry_url": endpoints.registry.confluent,
    }
    encoded = ", ".join(f"{key} = {ch_string(value)}" for key, value in settings.items())
    numbers = (
        "kafka_num_consumers = 2, kafka_thread_per_consumer = 1, kafka_max_block_size = 100000, "
        "kafka_flush_interval_ms = 500"
    )
    return f"CREATE TABLE {source} ({columns}) ENGINE = Kafka SETTINGS {encoded}, {numbers}"


def _view(table: Table, schema: dict[str, Any], source: str, view: str) -> str:
    """The landing query's own expressions, without its checks, over the engine's table."""
    query = landing_query(table, schema, generation=1)
    values = query[query.index("SELECT\n") : query.index("\nFROM (SELECT *")]
    rows = (
        "SELECT *, _offset, _partition, toUInt8(op = 'd') AS is_delete, "
        f"if(is_delete, before, after) AS row_image FROM {source}"
    )
    return f"CREATE MATERIALIZED VIEW {view} TO {render.storage_table(table)} AS {values} FROM ({rows})"
