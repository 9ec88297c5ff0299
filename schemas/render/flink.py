"""Contract -> Flink's source: the change topic as an append-only log of Debezium's envelopes.

``change-record`` (flink_jobs/plugin) decodes each record by its own schema into the fields of the DDL. They
have the types in which Debezium sends them (`arriving_type`), so that every record of the topic can be read:

- every column is nullable: a NOT NULL column would fail the job on the first record without a value;
- BIGINT UNSIGNED is a BIGINT that wraps;
- DECIMAL of more than 38 digits, Flink's limit, is BYTES: the unscaled number in big-endian two's complement;
- TIME is a BIGINT of microseconds, DATETIME of 4 to 6 digits a BIGINT of microseconds since 1970 on the wall
  clock;
- TIMESTAMP, ENUM, SET and JSON are text; BIT of more than one digit is BYTES, least significant first.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import assert_never

from core.errors import ContractError
from core.settings import KafkaEndpoint, RegistryEndpoint
from schemas import types as t
from schemas.names import avro_field, topic_of
from schemas.render import zero_dates
from schemas.render.landing import SWITCHBOARD_CONNECTOR
from schemas.table import Column, Table

SOURCE_FIELDS = (
    ("connector", "STRING NOT NULL"),
    ("db", "STRING NOT NULL"),
    ("ts_ms", "BIGINT NOT NULL"),
    ("snapshot", "STRING"),
    ("file", "STRING NOT NULL"),
    ("pos", "BIGINT NOT NULL"),
    ("row", "INT NOT NULL"),
)
MAX_DECIMAL_DIGITS = 38
FIRST_MICROSECOND = -62_135_596_800_000_000
"""0001-01-01 in microseconds since 1970."""
LATENESS = "INTERVAL '5' SECOND"


def log_table(table: Table) -> str:
    """Returns the quoted name of the table's log in Flink."""
    return name(f"{table.name}_log")


def create_source(
    table: Table,
    kafka: KafkaEndpoint,
    registry: RegistryEndpoint,
    options: Mapping[str, str] | None = None,
    generation: int = 1,
) -> str:
    """Returns the DDL. `options` extend or replace the connector's; `generation` is the topic's.

    Raises ContractError if two columns would share a field of the record.
    """
    row = _row(table)
    columns = (
        f"`before` {row}",
        f"`after` {row}",
        "`source` " + _rendered_row(SOURCE_FIELDS),
        "`op` STRING NOT NULL",
        "`partition` INT NOT NULL METADATA VIRTUAL",
        "`offset` BIGINT NOT NULL METADATA VIRTUAL",
        f"`version` AS {_version(generation)}",
        "`event_time` AS TO_TIMESTAMP_LTZ(`source`.`ts_ms`, 3)",
        f"WATERMARK FOR `event_time` AS `event_time` - {LATENESS}",
    )
    chosen = {**_options(table, kafka, registry), **(options or {})}
    lines = ",\n".join(f"    {text(option)} = {text(value)}" for option, value in chosen.items())
    return f"CREATE TABLE {log_table(table)} (\n    " + ",\n    ".join(columns) + f"\n) WITH (\n{lines}\n)"


def _version(generation: int) -> str:
    """Returns the version as landing computes it (`schemas.render.landing.version_expression`)."""
    return (
        f"CASE WHEN `source`.`connector` = {text(SWITCHBOARD_CONNECTOR)} THEN `source`.`pos` + 1 - "
        "MOD(`source`.`pos`, 2) "
        f"ELSE CAST({generation << 48} AS BIGINT) + `offset` * 2 END"
    )


def newest_view(table: Table) -> str:
    """Returns the DDL of the view of current rows that jobs read: the newest record of each key, unless that
    is a delete.

    It has the contract's columns, times as TIMESTAMP(3) in UTC, ``db`` (the shard) and ``committed_ms``
    (since the epoch).
    """
    columns = ", ".join(name(column.name) for column in table.columns)
    values = ", ".join(
        f"{_read(column, _field(table, column.name))} AS {name(column.name)}" for column in table.columns
    )
    key = ", ".join(map(name, table.key))
    return (
        f"CREATE TEMPORARY VIEW {name(table.name)} AS\n"
        f"SELECT `db`, `committed_ms`, {columns} FROM (\n"
        f"    SELECT *, ROW_NUMBER() OVER (PARTITION BY `db`, {key} ORDER BY `version` DESC) AS `place` FROM "
        "(\n"
        "        SELECT `source`.`db` AS `db`, `source`.`ts_ms` AS `committed_ms`, `op`, `version`, "
        f"{values}\n"
        f"        FROM {log_table(table)} WHERE `op` <> 't'\n"
        "    )\n"
        ") WHERE `place` = 1 AND `op` <> 'd'"
    )


def _field(table: Table, column: str) -> str:
    """Returns the field's expression; a delete has its key only in `before`."""
    field = name(avro_field(column))
    return f"COALESCE(`after`.{field}, `before`.{field})" if column in table.key else f"`after`.{field}"


def _read(column: Column, field: str) -> str:
    """Returns the column's value. A date that does not exist is read as a zero date."""
    value = _converted(column.type, field)
    if not zero_dates.is_replaced(column):
        return value
    return f"CASE WHEN {_is_zero(column.type, field)} THEN {_zero(column)} ELSE {value} END"


def _is_zero(kind: t.Type, field: str) -> str:
    match kind:
        case t.Year():
            return f"{field} < 0"
        case t.Date():
            return f"{field} < DATE '0001-01-01'"
        case t.DateTime(fraction) if fraction > 3:
            return f"{field} < {FIRST_MICROSECOND}"
        case t.DateTime():
            return f"{field} < TIMESTAMP '0001-01-01 00:00:00'"
        case _:
            return f"{field} LIKE '-%'"


def _zero(column: Column) -> str:
    value = zero_dates.zero_value(column)
    match column.type:
        case t.Year():
            return f"CAST({'NULL' if value is None else int(value)} AS INT)"
        case t.Date():
            return "CAST(NULL AS DATE)" if value is None else f"DATE {text(value)}"
        case _:
            if value is None:
                return "CAST(NULL AS TIMESTAMP(3))"
            moment = dt.datetime.fromisoformat(value).isoformat(" ", "milliseconds")
            return f"TIMESTAMP {text(moment)}"


def _converted(kind: t.Type, field: str) -> str:
    match kind:
        case t.DateTime(fraction) if fraction > 3:
            return f"CAST(TO_TIMESTAMP_LTZ({field} / 1000, 3) AS TIMESTAMP(3))"
        case t.Timestamp():
            return f"CAST(REPLACE(REPLACE({field}, 'T', ' '), 'Z', '') AS TIMESTAMP(3))"
        case _:
            return field


def _options(table: Table, kafka: KafkaEndpoint, registry: RegistryEndpoint) -> dict[str, str]:
    return {
        "connector": "kafka",
        "topic": topic_of(table),
        "properties.bootstrap.servers": kafka.bootstrap,
        "properties.isolation.level": "read_committed",
        "scan.startup.mode": "earliest-offset",
        "scan.watermark.idle-timeout": "10 s",
        "format": "change-record",
        "change-record.url": registry.confluent,
    }


def _row(table: Table) -> str:
    fields = [avro_field(column.name) for column in table.columns]
    shared = sorted(field for field, count in Counter(fields).items() if count > 1)
    if shared:
        raise ContractError(
            f"contract {table.name!r}: two columns share the record's field {', '.join(shared)}",
            "rename a column, or leave it out",
        )
    return _rendered_row(
        tuple(zip(fields, (arriving_type(column.type) for column in table.columns), strict=True))
    )


def _rendered_row(fields: tuple[tuple[str, str], ...]) -> str:
    return "ROW<" + ", ".join(f"{name(field)} {kind}" for field, kind in fields) + ">"


def arriving_type(kind: t.Type) -> str:
    match kind:
        case t.Int(bits):
            return "BIGINT" if bits == 64 else "INT"
        case t.UInt(bits):
            return "BIGINT" if bits >= 32 else "INT"
        case t.Bool() | t.Year():
            return "INT"
        case t.Decimal(precision, scale):
            return f"DECIMAL({precision}, {scale})" if precision <= MAX_DECIMAL_DIGITS else "BYTES"
        case t.Float(bits):
            return "FLOAT" if bits == 32 else "DOUBLE"
        case t.Date():
            return "DATE"
        case t.Time():
            return "BIGINT"
        case t.DateTime(fraction):
            return "TIMESTAMP(3)" if fraction <= 3 else "BIGINT"
        case t.Timestamp() | t.Text() | t.Enum() | t.Set() | t.Json():
            return "STRING"
        case t.Bit(length):
            return "BOOLEAN" if length == 1 else "BYTES"
        case t.Binary():
            return "BYTES"
        case _:
            assert_never(kind)


def name(identifier: str) -> str:
    """Returns a quoted Flink identifier."""
    return "`" + identifier.replace("`", "``") + "`"


def text(value: str) -> str:
    """Returns a Flink string literal."""
    return "'" + value.replace("'", "''") + "'"
