"""Contracts -> the Debezium connector of one MySQL server, and its internal topics."""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Mapping
from typing import assert_never

from core.errors import ContractError
from core.settings import (
    APICURIO_CONVERTER,
    MAX_MESSAGE_BYTES,
    MAX_RECORD_BYTES,
    KafkaEndpoint,
    MySqlServer,
    RegistryEndpoint,
)
from schemas.catalog import Catalog
from schemas.table import Computed, Metadata, Shards, Source, Table

DAY_MS = 86_400_000
TABLES = "table.include.list"
CASE_SENSITIVE = "(?-i)"


def connector_name(server: str) -> str:
    return f"mysql-{server}"


def signal_topic(server: str) -> str:
    return f"switchboard.signals.{server}"


def notification_topic(server: str) -> str:
    return f"switchboard.notifications.{server}"


def history_topic(server: str) -> str:
    return f"switchboard.history.{server}"


def heartbeat_topic(server: str) -> str:
    return f"__debezium-heartbeat.{server}"


def internal_topics(server: str) -> dict[str, dict[str, str]]:
    """Returns topic -> settings; each has one partition.

    The schema history never expires: no binlog can be read without it.
    """
    week = {"retention.ms": str(7 * DAY_MS)}
    return {
        signal_topic(server): week,
        notification_topic(server): week,
        heartbeat_topic(server): {"retention.ms": str(DAY_MS)},
        history_topic(server): {"retention.ms": "-1", "retention.bytes": "-1"},
        server: week,
    }


def source_config(
    catalog: Catalog,
    server: MySqlServer,
    registry: RegistryEndpoint,
    kafka: KafkaEndpoint,
    value_converter: str = APICURIO_CONVERTER,
    excluded_databases: Collection[str] = (),
) -> dict[str, str]:
    """Returns the connector's config. It has a reference to the password, never the password.

    `excluded_databases` are not captured, whatever the contracts say.
    """
    return {
        **_source(catalog, server, excluded_databases),
        **_records(registry, value_converter),
        **_routing(server),
        **_signals(server, kafka),
        **_delivery(),
        **server.connector_settings,
    }


def _source(catalog: Catalog, server: MySqlServer, excluded_databases: Collection[str]) -> dict[str, str]:
    catalog = catalog.captured
    patterns = sorted({_database_regex(table.source) for table in catalog})
    tables = sorted(_table_regex(table) for table in catalog)
    return {
        "connector.class": "io.debezium.connector.mysql.MySqlConnector",
        "tasks.max": "1",
        "database.hostname": server.host,
        "database.port": str(server.port),
        "database.user": server.cdc_user,
        "database.password": server.connect_password,
        "driver.sessionVariables": "sql_mode='ALLOW_INVALID_DATES'",
        "database.server.id": str(100_000 + zlib.crc32(server.name.encode()) % 1_000_000_000),
        "topic.prefix": server.name,
        "database.include.list": ",".join(_without(excluded_databases, pattern) for pattern in patterns),
        TABLES: ",".join(map(_listed, tables)),
        "snapshot.mode": "no_data",
        "snapshot.locking.mode": "none",
        "include.schema.changes": "false",
        "connect.keep.alive.interval.ms": str(round(server.keep_alive_seconds * 1000)),
        "message.key.columns": ";".join(map(_key_columns, catalog)),
    }


def captures(config: Mapping[str, str], database: str, table: str) -> bool:
    """Whether a connector with this config captures the table, if its database is not excluded."""
    patterns = config.get(TABLES, "").split(",")
    return any(
        re.fullmatch(pattern.removeprefix(CASE_SENSITIVE), f"{database}.{table}") for pattern in patterns
    )


def _listed(pattern: str) -> str:
    """Returns the pattern as an item of an include list, in which a comma separates patterns and case is
    ignored by default.

    A table that matched only in another case would have no topic, and would stop every table of the server.
    """
    return CASE_SENSITIVE + pattern.replace(",", "\\x2c")


def _without(databases: Collection[str], pattern: str) -> str:
    """Returns the list item without these databases: Debezium allows no exclude list beside an include
    list."""
    if not databases:
        return _listed(pattern)
    return _listed(f"(?!(?:{'|'.join(map(re.escape, sorted(databases)))})$){pattern}")


def _key_columns(table: Table) -> str:
    """Returns the contract's key, in its order: whichever unique key Debezium would choose, and whatever an
    ALTER changes."""
    return ":".join((_part(_table_regex(table)), ",".join(_part(re.escape(name)) for name in table.key)))


def _part(pattern: str) -> str:
    """Returns a part of `message.key.columns`, which Debezium splits at these characters and strips of
    spaces."""
    return re.sub(r"\\? |[,:;]", lambda found: f"\\x{ord(found[0][-1]):02x}", pattern)


def _table_regex(table: Table) -> str:
    return f"{_database_regex(table.source)}\\.{re.escape(table.name)}"


def _database_regex(source: Source) -> str:
    match source:
        case Shards(pattern):
            # no dot: else acc_* would match the table "x.calls" of a contract for "calls"
            return "".join(
                {"*": "[^.]*", "?": "[^.]"}.get(character, re.escape(character)) for character in pattern
            )
        case Metadata(database):
            return re.escape(database)
        case Computed():
            raise ContractError("a computed table has no database in MySQL", "leave it out of the connector")
        case _:
            assert_never(source)


def _records(registry: RegistryEndpoint, value_converter: str) -> dict[str, str]:
    return {
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "false",
        "key.converter.replace.null.with.default": "false",
        "value.converter": value_converter,
        "value.converter.switchboard.max.record.bytes": str(MAX_RECORD_BYTES),
        "value.converter.apicurio.registry.url": registry.converter,
        "value.converter.apicurio.registry.auto-register": "true",
        "value.converter.apicurio.registry.find-latest": "true",
        "value.converter.apicurio.registry.as-confluent": "true",
        "value.converter.apicurio.registry.headers.enabled": "false",
        "value.converter.apicurio.registry.use-id": "contentId",
        "value.converter.apicurio.registry.check-period-ms": str(365 * DAY_MS),
        "field.name.adjustment.mode": "avro",
        "schema.name.adjustment.mode": "avro",
        "tombstones.on.delete": "false",
        "decimal.handling.mode": "precise",
        "bigint.unsigned.handling.mode": "long",
        "binary.handling.mode": "bytes",
        "enable.time.adjuster": "false",
        "skipped.operations": "none",
        "event.converting.failure.handling.mode": "fail",
        "heartbeat.interval.ms": "1000",
    }


def _routing(server: MySqlServer) -> dict[str, str]:
    regex = f"{re.escape(server.name)}\\.([^.]+)\\.(.+)"
    return {
        "transforms": "route",
        "transforms.route.type": "io.debezium.transforms.ByLogicalTableRouter",
        "transforms.route.topic.regex": regex,
        "transforms.route.topic.replacement": "cdc.$2",
        "transforms.route.key.field.regex": regex,
        "transforms.route.key.field.name": "_shard",
        "transforms.route.key.field.replacement": "$1",
        "transforms.route.schema.name.adjustment.mode": "avro",
    }


def _signals(server: MySqlServer, kafka: KafkaEndpoint) -> dict[str, str]:
    """By default signals are polled every 5 s without waiting for Kafka's answer, so that the first is read
    after 30 s."""
    return {
        "read.only": "true",
        "signal.enabled.channels": "kafka",
        "signal.kafka.topic": signal_topic(server.name),
        "signal.kafka.bootstrap.servers": kafka.bootstrap,
        "signal.kafka.groupId": f"switchboard-signals-{server.name}",
        "signal.kafka.poll.timeout.ms": "500",
        "signal.poll.interval.ms": "1000",
        "notification.enabled.channels": "sink,switchboard",
        "notification.sink.topic.name": notification_topic(server.name),
        "incremental.snapshot.chunk.size": str(server.snapshot_chunk_rows),
        "incremental.snapshot.allow.schema.changes": "true",
        "schema.history.internal.kafka.topic": history_topic(server.name),
        "schema.history.internal.kafka.bootstrap.servers": kafka.bootstrap,
        "schema.history.internal.store.only.captured.tables.ddl": "false",
        "schema.history.internal.store.only.captured.databases.ddl": "false",
        "schema.history.internal.skip.unparseable.ddl": "false",
    }


def _delivery() -> dict[str, str]:
    """Short producer transactions: a slow shard delays no other, and landers read records at once.

    A killed worker leaves its transaction open. Until Kafka aborts it, after a minute by default, no worker
    starts the task and consumers of committed records read nothing new (decision 32).
    """
    return {
        "exactly.once.support": "required",
        "transaction.boundary": "poll",
        "poll.interval.ms": "50",
        "max.batch.size": "8192",
        "max.queue.size": "32768",
        "producer.override.compression.type": "lz4",
        "producer.override.linger.ms": "5",
        "producer.override.batch.size": "262144",
        "producer.override.max.request.size": str(MAX_MESSAGE_BYTES),
        "producer.override.transaction.timeout.ms": "10000",
    }
