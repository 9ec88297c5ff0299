"""Fakes for Kafka's consumer, for the writer threads and for the control database; tests set what they
answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from consumers import lander as module
from consumers.batch import Batch
from consumers.decisions import Decision
from consumers.lander import Lander
from consumers.start_offsets import StartOffsets
from core.settings import Endpoints, LandingSettings
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog
from schemas.names import topic_of
from schemas.table import Latest, Shards, Table, immutable

Partition = tuple[str, int]
AWAY = KafkaException(KafkaError(KafkaError._TRANSPORT))


def table(name: str) -> Table:
    return Table(name, Shards("*"), ("id",), Latest(), (immutable(1, "id", t.Int(32), p.PUBLIC),))


def record(topic: str, partition: int, offset: int, value: bytes) -> Message:
    return Message(topic=topic, partition=partition, offset=offset, key=b"key", value=value)


@dataclass
class FakeConsumer:
    """One member of a group; `group` is what was committed.

    A partition's log holds an offset for each record that was put.
    """

    group: dict[Partition, int] = field(default_factory=dict)
    logs: dict[Partition, list[Message]] = field(default_factory=dict)
    positions: dict[Partition, int] = field(default_factory=dict)
    paused: set[Partition] = field(default_factory=set)
    refuses: list[Exception | Partition] = field(default_factory=list)
    """What the next commits meet: an error of all, or of one partition."""
    callbacks: dict[str, Callable[..., None]] = field(default_factory=dict)
    closing: bool = False

    def put(self, topic: str, partition: int, *values: bytes) -> None:
        log = self.logs.setdefault((topic, partition), [])
        for value in values:
            log.append(record(topic, partition, len(log), value))

    def subscribe(self, topics: list[str], **callbacks: Callable[..., None]) -> None:
        self.callbacks = callbacks

    def join(self, *partitions: Partition) -> None:
        self.callbacks["on_assign"](self, [TopicPartition(*partition) for partition in partitions])

    def leave(self, *partitions: Partition) -> None:
        self.callbacks["on_revoke"](self, [TopicPartition(*partition) for partition in partitions])

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        self.positions |= {
            (partition.topic, partition.partition): partition.offset for partition in partitions
        }

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            del self.positions[partition.topic, partition.partition]

    def assignment(self) -> list[TopicPartition]:
        if self.closing:
            raise KafkaException(KafkaError(KafkaError._DESTROY))  # as librdkafka sometimes does
        return [TopicPartition(*partition) for partition in self.positions]

    def consume(self, count: int, timeout: float) -> list[Message]:
        found: list[Message] = []
        for partition in [partition for partition in self.positions if partition not in self.paused]:
            begin = self.positions[partition]
            fresh = self.logs.get(partition, [])[begin : begin + count]
            self.positions[partition] = begin + len(fresh)
            found += fresh
        return found

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused |= {(partition.topic, partition.partition) for partition in partitions}

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.paused -= {(partition.topic, partition.partition) for partition in partitions}

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        refused = self.refuses.pop(0) if self.refuses else None
        if isinstance(refused, Exception):
            raise refused
        taken = [partition for partition in offsets if (partition.topic, partition.partition) != refused]
        self.group |= {(partition.topic, partition.partition): partition.offset for partition in taken}
        return [*taken, *(Refused(*refused) for _ in offsets[len(taken) :] if refused is not None)]  # type: ignore[list-item]

    def close(self) -> None:
        self.closing = True
        if self.positions:
            self.leave(*self.positions)


@dataclass
class Refused:
    topic: str
    partition: int
    error: KafkaError = field(default_factory=lambda: KafkaError(KafkaError.NOT_COORDINATOR))


@dataclass
class FakeWorker:
    """Lands by noting it. `meets` says what the next batch of a table meets."""

    landed: dict[Partition, list[int]] = field(default_factory=dict)
    meets: dict[str, list[Exception]] = field(default_factory=dict)

    def load_schema(self, table: Table, generation: int, batch: Batch) -> None:
        """Every schema is known."""

    def land(self, table: Table, generation: int, batch: Batch) -> None:
        if self.meets.get(table.name):
            raise self.meets[table.name].pop(0)
        for partition, offset, _ in batch.records():
            self.landed.setdefault((topic_of(table), partition), []).append(offset)

    def handle_unbatchable(
        self, table: Table, generation: int, partition: int, offset: int, value: bytes, reason: str
    ) -> None:
        self.landed.setdefault((topic_of(table), partition), []).append(offset)

    def land_tombstones(self, table: Table, generation: int, tombstones: Any) -> None:
        raise AssertionError("no tombstone was put")


class FakeBook:
    def __init__(self) -> None:
        self.forgotten: list[set[str]] = []

    def forget(self, topics: Any) -> None:
        self.forgotten.append(set(topics))


@dataclass
class Bench:
    """A lander on stand-ins, driven turn by turn. Its one table is tried again at once, not after a while."""

    lander: Lander
    consumer: FakeConsumer
    worker: FakeWorker
    book: FakeBook
    decided: dict[str, Decision]
    catalog: list[Catalog]

    def turn(self) -> None:
        """What the loop does once, and a commit."""
        landing = self.lander
        landing._take(self.consumer.consume(module.FETCH, 0))
        landing._hand_over(force=True)
        landing._collect(wait=True)
        landing._balance()
        landing._resume_due()
        landing._commit()


class FakeStartOffsets:
    def __init__(self, consumer: FakeConsumer) -> None:
        self._consumer = consumer
        self.fails: list[Exception] = []

    def resolve(self, group: Any, partitions: Any) -> StartOffsets:
        topics = {partition.topic for partition in partitions}
        if self.fails and topics:
            return StartOffsets(failed=dict.fromkeys(topics, self.fails.pop(0)))
        starts = [
            TopicPartition(
                partition.topic,
                partition.partition,
                self._consumer.group.get((partition.topic, partition.partition), 0),
            )
            for partition in partitions
        ]
        return StartOffsets(starts, dict.fromkeys(topics, 1))


def make_bench(
    monkeypatch: pytest.MonkeyPatch, endpoints: Endpoints, names: tuple[str, ...], **settings: Any
) -> Bench:
    consumer, worker, book = FakeConsumer(), FakeWorker(), FakeBook()
    catalog = [Catalog(tuple(table(name) for name in names))]
    decided = {topic_of(item): Decision("", 1, 0) for item in catalog[0]}

    def reported(_: Any, tables: Mapping[str, Table]) -> dict[str, Decision]:
        return {topic: decided.get(topic, Decision("", 1, 0)) for topic in tables}

    monkeypatch.setattr("consumers.held_tables.FIRST_WAIT", 0.0)
    monkeypatch.setattr(module, "consumer", lambda *_, **__: consumer)
    monkeypatch.setattr(module, "StartOffsetResolver", lambda *_: FakeStartOffsets(consumer))
    monkeypatch.setattr(module, "SchemaCache", lambda *_: book)
    monkeypatch.setattr(module, "BatchWriter", lambda *_: worker)
    monkeypatch.setattr(module, "decisions", reported)
    control: Any = None
    lander = Lander(
        endpoints,
        LandingSettings(inserters=1, **settings),
        catalog[0],
        control,
        lambda *_: None,
        lambda: False,
        lambda: catalog[0],
    )
    lander._subscribe()
    return Bench(lander, consumer, worker, book, decided, catalog)
