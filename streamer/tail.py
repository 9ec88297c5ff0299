"""The result topics, and the agents' activities, from given offsets on, read by one thread, as changes."""

from __future__ import annotations

import datetime as dt
import io
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fastavro
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from core import logging, metrics
from core.clients.kafka import IDLE_WAIT_MILLISECONDS, LATEST, admin, answering, consumer, partition_offsets
from core.clients.registry import Registry
from core.errors import TransientError
from core.settings import KafkaEndpoint, RegistryEndpoint
from core.wire import confluent
from schemas.names import topic_of
from schemas.table import Table
from streamer.ground import JobRun
from streamer.state import Change
from streamer.tenant import ACTIVITIES, EPOCH, Row

BATCH = 1000
WAIT_SECONDS = 0.2
ASK_SECONDS = 15
CATCH_UP_SECONDS = 60.0
log = logging.get("streamer")


class Tail:
    """From one thread at a time: `landed`, `assign`, `catch_up`, and then `start`, which goes on in a thread of its own."""

    def __init__(
        self, kafka: KafkaEndpoint, registry: RegistryEndpoint, tables: Sequence[Table], topics: Mapping[str, JobRun], group: str
    ) -> None:
        """Topics that are not in `topics` are not read."""
        self._kafka = kafka
        self._tables = {topic_of(table): table for table in tables}
        self._topics = topics
        self._stopping = threading.Event()
        self._registry = Registry(registry, stopping=self._stopping.is_set)
        self._schemas: dict[int, Any] = {}
        more = {"fetch.wait.max.ms": IDLE_WAIT_MILLISECONDS, "auto.offset.reset": "earliest", "enable.partition.eof": True}
        self._reader = consumer(kafka, group, **more)
        self._reached: dict[tuple[str, int], int] = {}
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None

    def landed(self) -> list[TopicPartition]:
        """Where the landers are: what stands before that is in ClickHouse. Raises TransientError; blocks for 15 s at most.

        An offset that was committed in another generation is of another topic of that name: all of this one is read then.
        """
        places = [TopicPartition(topic, part) for topic, making in self._topics.items() for part in range(making.partitions)]
        with answering(self._kafka):
            found = self._reader.committed(places, timeout=ASK_SECONDS) if places else []
        return [TopicPartition(place.topic, place.partition, self._first(place)) for place in found]

    def _first(self, place: TopicPartition) -> int:
        known = place.metadata in (None, "", str(self._topics[place.topic].generation))
        return max(int(place.offset), 0) if known else 0

    def assign(self, places: list[TopicPartition]) -> None:
        self._reached = {(place.topic, place.partition): place.offset for place in places}
        self._reader.assign(places)

    def catch_up(self, take: Callable[[Change], object], limit: float = CATCH_UP_SECONDS) -> None:
        """Blocks until all is read that the topics hold now. Raises TransientError if that takes longer, in seconds."""
        deadline = time.monotonic() + limit
        with answering(self._kafka):
            ends = partition_offsets(admin(self._kafka), self._reached, LATEST, limit=ASK_SECONDS)
            while any(self._reached[place] < end for place, end in ends.items()):
                for change in self._read_on():
                    take(change)
                if self._stopping.is_set():
                    raise TransientError("the result topics are read no more, as the streamer ends")
                if time.monotonic() > deadline:
                    raise TransientError(f"the result topics are not read to their ends within {limit:.0f} s", "is Kafka running?")

    def start(self, take: Callable[[list[Change]], None]) -> None:
        """`take` is called on the tail's thread with each batch of changes, in the order of each partition."""
        self._thread = threading.Thread(target=self._run, args=(take,), name="tail")
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come, though nobody has stopped it; `failure` tells why."""
        return self._thread is not None and not self._thread.is_alive() and not self._stopping.is_set()

    def stop(self) -> None:
        """Blocks until the thread has ended. What another thread is about to read raises TransientError there."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """Of a tail that is not started; by the thread that has read it."""
        self._reader.close()

    def _run(self, take: Callable[[list[Change]], None]) -> None:
        try:
            while not self._stopping.is_set():
                if changes := self._read_on():
                    take(changes)
        except Exception as error:
            self.failure = error
            log.exception("the result topics are read no more")
        finally:
            self._reader.close()

    def _read_on(self) -> list[Change]:
        first = self._reader.poll(WAIT_SECONDS)  # `consume` alone waits for a whole batch, or as long as it may
        messages = [] if first is None else [first, *self._reader.consume(BATCH, 0)]
        return [change for message in messages if (change := self._read(message)) is not None]

    def _read(self, message: Message) -> Change | None:
        """A record that cannot be read is told in the log and left out."""
        topic, partition, offset, error = str(message.topic()), int(message.partition() or 0), int(message.offset() or 0), message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            self._reached[topic, partition] = offset
        if error is not None:
            return self._minded(topic, error)
        self._reached[topic, partition] = offset + 1
        version = self._topics[topic].generation << 48 | offset << 1
        while not self._stopping.is_set():
            try:
                return self._change(self._tables[topic], message.key(), message.value(), version)
            except TransientError as away:  # left out, it would be missing until its row changes again
                log.warning("a record waits for its schema", topic=topic, partition=partition, offset=offset, error=away.what)
            except Exception as error:  # whatever a record may cause
                metrics.UNREADABLE_RESULTS.labels(topic).inc()
                log.error("a record cannot be read", topic=topic, partition=partition, offset=offset, error=repr(error))
                return None
        return None

    @staticmethod
    def _minded(topic: str, error: KafkaError) -> None:
        if error.fatal():
            raise KafkaException(error)
        if error.code() != KafkaError._PARTITION_EOF:
            log.warning("kafka", topic=topic, error=str(error))

    def _change(self, table: Table, key: bytes | None, value: bytes | None, version: int) -> Change | None:
        if table.name == ACTIVITIES:
            return self._activity(table, value)
        if value is None:
            parts = json.loads(key or b"{}")
            return Change(table.name, tuple(_plain(table, name, parts[name]) for name in table.key), None, version, 0)
        envelope = self._decoded(value)
        row: Row = {name: _plain(table, name, field) for name, field in (envelope["after"] or envelope["before"]).items()}
        gone = envelope["after"] is None
        committed = int(envelope["source"]["ts_ms"])
        return Change(table.name, tuple(row[name] for name in table.key), None if gone else row, version, committed)

    def _activity(self, table: Table, value: bytes | None) -> Change | None:
        """None of what takes an activity back."""
        envelope = None if value is None else self._decoded(value)
        if envelope is None or envelope["after"] is None:
            return None
        row: Row = {name: envelope["after"][name] for name in ("account_id", "agent_id", "activity_id", "state")}
        row["occurred_at"] = EPOCH + dt.timedelta(microseconds=envelope["after"]["occurred_at"])
        source = envelope["source"]
        return Change(table.name, (row["account_id"], row["agent_id"]), row, 0, int(source["ts_ms"]), str(source["db"]))

    def _decoded(self, value: bytes) -> dict[str, Any]:
        identity = confluent.schema_id(value)
        if identity is None:
            raise ValueError("it is not in Confluent framing")
        if identity not in self._schemas:
            self._schemas[identity] = self._schema(identity)
        decoded = fastavro.schemaless_reader(io.BytesIO(value[confluent.HEADER_SIZE :]), self._schemas[identity], None)
        if not isinstance(decoded, dict):
            raise ValueError("it is no record")
        return decoded

    def _schema(self, identity: int) -> Any:
        text = self._registry.schema(identity)
        if text is None:
            raise ValueError(f"the registry knows no schema {identity}")
        return fastavro.parse_schema(json.loads(text))


def _plain(table: Table, name: str, value: Any) -> Any:
    """Times in UTC without a zone, whether they come as a number of ms, with a zone, or as a key's text."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, str) and name in table.key:
        return dt.datetime.fromisoformat(value.removesuffix("Z"))
    return value
