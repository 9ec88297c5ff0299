"""Reads the result topics and the agents' activities from given offsets on, in one thread, as changes."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from core import logging, metrics
from core.clients.kafka import IDLE_WAIT_MILLISECONDS, LATEST, admin, answering, consumer, partition_offsets
from core.clients.registry import Registry
from core.clock import EPOCH
from core.errors import TransientError
from core.settings import KafkaEndpoint, RegistryEndpoint
from core.wire.record import RecordDecoder
from schemas.names import topic_of
from schemas.table import Table
from streamer.sample.control_reader import BoundTopic
from streamer.sample.state import Change
from streamer.sample.tenant import ACTIVITIES, Row

BATCH = 1000
WAIT_SECONDS = 0.2
REQUEST_SECONDS = 15
CATCH_UP_SECONDS = 60.0
log = logging.get("streamer")


class TopicReader:
    """Call `committed_offsets`, `assign` and `catch_up` from one thread, then `start`, which continues in its
    own thread."""

    def __init__(
        self,
        kafka: KafkaEndpoint,
        registry: RegistryEndpoint,
        tables: Sequence[Table],
        topics: Mapping[str, BoundTopic],
        group: str,
    ) -> None:
        """`topics` are the topics to read, without those that do not exist."""
        self._kafka = kafka
        self._tables = {topic_of(table): table for table in tables}
        self._topics = topics
        self._stopping = threading.Event()
        self._decoder = RecordDecoder(Registry(registry, stopping=self._stopping.is_set).schema)
        more = {
            "fetch.wait.max.ms": IDLE_WAIT_MILLISECONDS,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
        self._consumer = consumer(kafka, group, **more)
        self._reached: dict[tuple[str, int], int] = {}
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None

    def committed_offsets(self) -> list[TopicPartition]:
        """Returns the landers' committed offsets: records before them are in ClickHouse.

        The offset is 0 if it was committed in another generation, and thus for another topic of that name.
        Blocks for 15 s at most; raises TransientError.
        """
        partitions = [
            TopicPartition(topic, part)
            for topic, bound in self._topics.items()
            for part in range(bound.partitions)
        ]
        with answering(self._kafka):
            found = self._consumer.committed(partitions, timeout=REQUEST_SECONDS) if partitions else []
        return [
            TopicPartition(partition.topic, partition.partition, self._start_offset(partition))
            for partition in found
        ]

    def _start_offset(self, partition: TopicPartition) -> int:
        known = partition.metadata in (None, "", str(self._topics[partition.topic].generation))
        return max(int(partition.offset), 0) if known else 0

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Sets the partitions to read, with their start offsets."""
        self._reached = {(partition.topic, partition.partition): partition.offset for partition in partitions}
        self._consumer.assign(partitions)

    def catch_up(self, on_changes: Callable[[Change], object], limit: float = CATCH_UP_SECONDS) -> None:
        """Blocks until the topics are read to their present ends.

        Raises TransientError after `limit` seconds, or once stopped.
        """
        deadline = time.monotonic() + limit
        with answering(self._kafka):
            ends = partition_offsets(admin(self._kafka), self._reached, LATEST, limit=REQUEST_SECONDS)
            while any(self._reached[partition] < end for partition, end in ends.items()):
                for change in self._poll():
                    on_changes(change)
                if self._stopping.is_set():
                    raise TransientError("the streamer is stopping")
                if time.monotonic() > deadline:
                    raise TransientError(
                        f"the result topics were not read to their ends in {limit:.0f} s", "is Kafka running?"
                    )

    def start(self, on_changes: Callable[[list[Change]], None]) -> None:
        """Calls `on_changes` in a thread of its own with each batch of changes, in the order of each
        partition."""
        self._thread = threading.Thread(target=self._run, args=(on_changes,), name="topic-reader")
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether reading has ended without `stop`; `failure` is the cause."""
        return self._thread is not None and not self._thread.is_alive() and not self._stopping.is_set()

    def stop(self) -> None:
        """Blocks until the thread has ended. A `catch_up` in another thread raises TransientError."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """Closes a reader that was not started, from the thread that has used it."""
        self._consumer.close()

    def _run(self, on_changes: Callable[[list[Change]], None]) -> None:
        try:
            while not self._stopping.is_set():
                if changes := self._poll():
                    on_changes(changes)
        except Exception as error:
            self.failure = error
            log.exception("reading the result topics has failed")
        finally:
            self._consumer.close()

    def _poll(self) -> list[Change]:
        first = self._consumer.poll(WAIT_SECONDS)  # `consume` alone waits for a whole batch or its timeout
        messages = [] if first is None else [first, *self._consumer.consume(BATCH, 0)]
        return [change for message in messages if (change := self._to_change(message)) is not None]

    def _to_change(self, message: Message) -> Change | None:
        """A record that cannot be decoded is logged and skipped."""
        topic, partition, offset, error = (
            str(message.topic()),
            int(message.partition() or 0),
            int(message.offset() or 0),
            message.error(),
        )
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            self._reached[topic, partition] = offset
        if error is not None:
            return self._handle_error(topic, error)
        self._reached[topic, partition] = offset + 1
        version = self._topics[topic].generation << 48 | offset << 1
        while not self._stopping.is_set():
            try:
                return self._change(self._tables[topic], message.key(), message.value(), version)
            except TransientError as unavailable:  # skipped, its row would be stale until it changes again
                log.warning(
                    "a record waits for its schema",
                    topic=topic,
                    partition=partition,
                    offset=offset,
                    error=unavailable.what,
                )
            except Exception as error:  # a record may hold anything
                metrics.UNREADABLE_RESULTS.labels(topic).inc()
                log.error(
                    "a record cannot be decoded",
                    topic=topic,
                    partition=partition,
                    offset=offset,
                    error=repr(error),
                )
                return None
        return None

    @staticmethod
    def _handle_error(topic: str, error: KafkaError) -> None:
        if error.fatal():
            raise KafkaException(error)
        if error.code() != KafkaError._PARTITION_EOF:
            log.warning("kafka", topic=topic, error=str(error))

    def _change(self, table: Table, key: bytes | None, value: bytes | None, version: int) -> Change | None:
        if table.name == ACTIVITIES:
            return self._activity(table, value)
        if value is None:
            parts = json.loads(key or b"{}")
            return Change(
                table.name,
                tuple(_normalized(table, name, parts[name]) for name in table.key),
                None,
                version,
                0,
            )
        envelope = self._decoder.decode(value)
        row: Row = {
            name: _normalized(table, name, field)
            for name, field in (envelope["after"] or envelope["before"]).items()
        }
        gone = envelope["after"] is None
        committed = int(envelope["source"]["ts_ms"])
        return Change(
            table.name, tuple(row[name] for name in table.key), None if gone else row, version, committed
        )

    def _activity(self, table: Table, value: bytes | None) -> Change | None:
        """Returns None for a deletion."""
        envelope = None if value is None else self._decoder.decode(value)
        if envelope is None or envelope["after"] is None:
            return None
        row: Row = {
            name: envelope["after"][name] for name in ("account_id", "agent_id", "activity_id", "state")
        }
        row["occurred_at"] = EPOCH + dt.timedelta(microseconds=envelope["after"]["occurred_at"])
        source = envelope["source"]
        return Change(
            table.name, (row["account_id"], row["agent_id"]), row, 0, int(source["ts_ms"]), str(source["db"])
        )


def _normalized(table: Table, name: str, value: Any) -> Any:
    """Returns times in UTC without a time zone, whether they come with one or as text of a key."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, str) and name in table.key:
        return dt.datetime.fromisoformat(value.removesuffix("Z"))
    return value
