"""Which columns each shard's table once had and has no longer, by the source's DDL.

A record's schema does not tell: in a rolling migration a shard that never had the column writes newer schemas without it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from core.clients.kafka import partition_reader
from core.errors import TransientError
from core.settings import KafkaEndpoint
from core.wire.history import TableName, columns, table_name
from schemas.render.connect import history_topic

PATIENCE = 10.0


class GoneColumns:
    """What a history has told so far."""

    def __init__(self) -> None:
        self._has: dict[TableName, frozenset[str]] = {}
        self._gone: dict[TableName, frozenset[str]] = {}

    def learn(self, record: dict[str, Any]) -> None:
        database = str(record.get("databaseName") or "")
        for item in record.get("tableChanges") or ():
            where = table_name(item["id"], database)
            before = table_name(item["previousId"], database) if item.get("previousId") else where
            had, gone = self._has.pop(before, frozenset()), self._gone.pop(before, frozenset())
            if item["type"] == "CREATE":
                had = gone = frozenset()
            if item["type"] != "DROP":
                self._has[where] = frozenset(columns(item))
                self._gone[where] = (gone | had) - self._has[where]

    def of(self, table: str, names: frozenset[str]) -> dict[str, frozenset[str]]:
        """Database -> which of these columns its table has lost."""
        return {database: gone & names for (database, name), gone in self._gone.items() if name == table and gone & names}


class SourceHistory:
    """The schema histories of these MySQL servers, read on from where the last question left them. Thread-safe."""

    def __init__(self, kafka: KafkaEndpoint, servers: Iterable[str]) -> None:
        self._kafka = kafka
        self._next = {history_topic(server): 0 for server in servers}
        self._gone = GoneColumns()
        self._reader: Consumer | None = None
        self._lock = threading.Lock()

    def dropped(self, table: str, names: frozenset[str]) -> dict[str, frozenset[str]]:
        """Database -> which of these columns its table has lost. Blocks; raises TransientError if Kafka does not answer in 10 s.

        DDL stands in the history before the records that follow it stand in their topics.
        """
        with self._lock:
            for topic in self._next:
                self._read(topic)
            return self._gone.of(table, names)

    def _read(self, topic: str) -> None:
        if self._reader is None:
            self._reader = partition_reader(self._kafka)
        try:
            if topic not in self._reader.list_topics(timeout=PATIENCE).topics:
                return  # no connector has ever been there
            self._reader.assign([TopicPartition(topic, 0, self._next[topic])])
            while True:
                message = self._reader.poll(PATIENCE)
                error = KafkaError(KafkaError._TIMED_OUT) if message is None else message.error()
                if message is not None and error is None:
                    self._gone.learn(json.loads(message.value() or b"{}"))
                    self._next[topic] = int(message.offset() or 0) + 1
                elif error is not None and error.code() == KafkaError._PARTITION_EOF:
                    return
                else:
                    raise KafkaException(error)
        except KafkaException as error:
            raise TransientError(f"{topic} cannot be read: {error}", "is Kafka running?") from error
