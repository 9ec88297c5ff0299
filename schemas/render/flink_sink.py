"""Contract of a computed table -> Flink's sink: a result topic with records like Debezium's, which the same
landers land.

The key is JSON; the value is an envelope whose `after` is the row. A deleted row is a tombstone.
"""

from __future__ import annotations

from typing import assert_never

from core.errors import ContractError
from core.settings import KafkaEndpoint, RegistryEndpoint
from schemas import types as t
from schemas.names import topic_of
from schemas.render.flink import SOURCE_FIELDS, arriving_type, name, text
from schemas.table import Computed, Table

DELIVERY = {"structured": "exactly-once", "realtime": "at-least-once"}


def sink_table(table: Table) -> str:
    return name(f"{table.name}_sink")


def create_sink(table: Table, kafka: KafkaEndpoint, registry: RegistryEndpoint) -> str:
    """Returns the DDL.

    Raises ContractError if the table is not computed, or has a type that jobs cannot write.
    """
    if not isinstance(table.source, Computed):
        raise ContractError(
            f"table {table.name!r} is not computed by a job", "only computed tables have a sink"
        )
    columns = (
        *(f"{name(part)} {sink_type(table.column(part).type)}" for part in table.key),
        f"`before` {_row(table)}",
        f"`after` {_row(table)}",
        f"`source` ROW<{', '.join(f'{name(field)} {kind}' for field, kind in SOURCE_FIELDS)}> NOT NULL",
        "`op` STRING NOT NULL",
        f"PRIMARY KEY ({', '.join(map(name, table.key))}) NOT ENFORCED",
    )
    options = {
        "connector": "upsert-kafka",
        "topic": topic_of(table),
        "properties.bootstrap.servers": kafka.bootstrap,
        "properties.transaction.timeout.ms": "600000",
        "key.format": "json",
        "key.json.timestamp-format.standard": "ISO-8601",
        "value.format": "avro-confluent",
        "value.avro-confluent.url": registry.confluent,
        "value.fields-include": "EXCEPT_KEY",
        "sink.delivery-guarantee": DELIVERY[table.source.tier],
        "sink.transactional-id-prefix": topic_of(table),
    }
    lines = ",\n".join(f"    {text(option)} = {text(value)}" for option, value in options.items())
    return f"CREATE TABLE {sink_table(table)} (\n    " + ",\n    ".join(columns) + f"\n) WITH (\n{lines}\n)"


def insert_into(table: Table, query: str, only: str = "") -> str:
    """Returns the INSERT of the rows of `query` into the sink, restricted by the condition `only`.

    The query has the contract's columns by name, and ``committed_ms``: when the newest change that a row
    depends on was committed in MySQL, in milliseconds since the epoch.
    """
    row = ", ".join(f"CAST({name(column.name)} AS {sink_type(column.type)})" for column in table.columns)
    source = "ROW('flink', '', COALESCE(`committed_ms`, 0), CAST(NULL AS STRING), '', CAST(0 AS BIGINT), 0)"
    values = (
        *(f"CAST({name(part)} AS {sink_type(table.column(part).type)})" for part in table.key),
        f"CAST(NULL AS {_row(table)})",
    )
    condition = f"\nWHERE {only}" if only else ""
    return (
        f"INSERT INTO {sink_table(table)}\nSELECT {', '.join(values)}, ROW({row}), {source}, 'u'\nFROM "
        f"(\n{query}\n){condition}"
    )


def _row(table: Table) -> str:
    return (
        "ROW<" + ", ".join(f"{name(column.name)} {sink_type(column.type)}" for column in table.columns) + ">"
    )


def sink_type(kind: t.Type) -> str:
    match kind:
        case t.DateTime(fraction) if fraction <= 3:
            return "TIMESTAMP(3)"
        case t.Timestamp() | t.DateTime() | t.Time() | t.Bit() | t.Binary():
            raise ContractError(
                f"jobs cannot write a column of type {type(kind).__name__}",
                "use DateTime(3), a number or text",
            )
        case (
            t.Int()
            | t.UInt()
            | t.Bool()
            | t.Year()
            | t.Decimal()
            | t.Float()
            | t.Date()
            | t.Text()
            | t.Enum()
            | t.Set()
            | t.Json()
        ):
            return arriving_type(kind)
        case _:
            assert_never(kind)
