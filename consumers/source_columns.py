"""The columns of each shard's table by the source's DDL: those that it has lost, and what they are called.

A record's schema cannot tell either: in a rolling migration a shard that never had a column writes newer
schemas without it, and Avro has no names with spaces.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from typing import Any

from core.clients.kafka import ANSWER_SECONDS, admin, answering, read_partitions
from core.settings import KafkaEndpoint
from core.wire.history import TableName, columns, table_name
from schemas.names import avro_field
from schemas.render.connect import history_topic


class SourceColumns:
    """Columns by the schema history read so far."""

    def __init__(self) -> None:
        self._columns: dict[TableName, frozenset[str]] = {}
        self._dropped: dict[TableName, frozenset[str]] = {}

    def learn(self, record: dict[str, Any]) -> None:
        database = str(record.get("databaseName") or "")
        for item in record.get("tableChanges") or ():
            name = table_name(item["id"], database)
            previous_name = table_name(item["previousId"], database) if item.get("previousId") else name
            previous, dropped = (
                self._columns.pop(previous_name, frozenset()),
                self._dropped.pop(previous_name, frozenset()),
            )
            if item["type"] == "CREATE":
                previous = dropped = frozenset()
            if item["type"] != "DROP":
                self._columns[name] = frozenset(columns(item))
                self._dropped[name] = (dropped | previous) - self._columns[name]

    def dropped(self, table: str, names: frozenset[str]) -> dict[str, frozenset[str]]:
        """Returns, by database, those of these columns that its table has lost."""
        return {
            database: dropped & names
            for (database, name), dropped in self._dropped.items()
            if name == table and dropped & names
        }

    def column_names(self, table: str, fields: frozenset[str]) -> dict[str, str]:
        """Returns the column's name for each of these fields of records.

        Shards that spell it differently share a field, and so a column.
        """
        names = {
            name
            for (_, known), columns_of_shard in self._columns.items()
            if known == table
            for name in columns_of_shard
        }
        return {
            field: min((name for name in names if avro_field(name) == field), default=field)
            for field in fields
        }


class SourceHistory:
    """The schema histories of these MySQL servers, each call reading on from the last. Thread-safe."""

    def __init__(self, kafka: KafkaEndpoint, servers: Iterable[str]) -> None:
        self._kafka = kafka
        self._next = {(history_topic(server), 0): 0 for server in servers}
        self._columns = SourceColumns()
        self._lock = threading.Lock()

    def dropped(self, table: str, names: frozenset[str]) -> dict[str, frozenset[str]]:
        """Returns, by database, those of these columns that its table has lost. Blocks; raises TransientError
        after 10 s without Kafka.

        DDL is in the history before the records that follow it are in their topics.
        """
        return self._read().dropped(table, names)

    def column_names(self, table: str, fields: frozenset[str]) -> dict[str, str]:
        """Returns the column's name in MySQL for each of these fields of records. Blocks and raises as
        `dropped` does."""
        return self._read().column_names(table, fields)

    def _read(self) -> SourceColumns:
        with self._lock:
            with answering(self._kafka):
                known = admin(self._kafka).list_topics(timeout=ANSWER_SECONDS).topics
            # a topic that is not known has not been written yet
            begins = {part: offset for part, offset in self._next.items() if part[0] in known}
            for message in read_partitions(self._kafka, begins):
                self._columns.learn(json.loads(message.value() or b"{}"))
                self._next[str(message.topic()), 0] = int(message.offset() or 0) + 1
            return self._columns
