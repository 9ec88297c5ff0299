"""Stand-ins for Kafka's consumer, for the threads that insert and for the control database: what they were told is theirs to tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from consumers import lander as module
from consumers.batch import Batch
from consumers.beginnings import Beginning
from consumers.decisions import Decision
from consumers.lander import Lander
from core.settings import Endpoints, LandingSettings
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog
from schemas.names import topic_of
from schemas.table import Latest, Shards, Table, immutable

Place = tuple[str, int]
AWAY = KafkaException(KafkaError(KafkaError._TRANSPORT))


def table(name: str) -> Table:
    return Table(name, Shards("*"), ("id",), Latest(), (immutable(1, "id", t.Int(32), p.PUBLIC),))


def record(topic: str, partition: int, offset: int, value: bytes) -> Message:
    return Message(topic=topic, partition=partition, offset=offset, key=b"key", value=value)


@dataclass
class FakeConsumer:
    """One member of a group; `group` is what was committed. A partition's log holds an offset for each record that was put."""

    group: dict[Place, int] = field(default_factory=dict)
    logs: dict[Place, list[Message]] = field(default_factory=dict)
    positions: dict[Place, int] = field(default_factory=dict)
    paused: set[Place] = field(default_factory=set)
    refuses: list[Exception | Place] = field(default_factory=list)
    """What the next commits meet: an error of all, or of one partition."""
    callbacks: dict[str, Callable[..., None]] = field(default_factory=dict)
    closing: bool = False

    def put(self, topic: str, partition: int, *values: bytes) -> None:
        log = self.logs.setdefault((topic, partition), [])
        for value in values:
            log.append(record(topic, partition, len(log), value))

    def subscribe(self, topics: list[str], **callbacks: Callable[..., None]) -> None:
        self.callbacks = callbacks

    def join(self, *places: Place) -> None:
        self.callbacks["on_assign"](self, [TopicPartition(*place) for place in places])

    def leave(self, *places: Place) -> None:
        self.callbacks["on_revoke"](self, [TopicPartition(*place) for place in places])

    def incremental_assign(self, places: list[TopicPartition]) -> None:
        self.positions |= {(place.topic, place.partition): place.offset for place in places}

    def incremental_unassign(self, places: list[TopicPartition]) -> None:
        for place in places:
            del self.positions[place.topic, place.partition]

    def assignment(self) -> list[TopicPartition]:
        if self.closing:
            raise KafkaException(KafkaError(KafkaError._DESTROY))  # as librdkafka sometimes does
        return [TopicPartition(*place) for place in self.positions]

    def consume(self, count: int, timeout: float) -> list[Message]:
        found: list[Message] = []
        for place in [place for place in self.positions if place not in self.paused]:
            begin = self.positions[place]
            fresh = self.logs.get(place, [])[begin : begin + count]
            self.positions[place] = begin + len(fresh)
            found += fresh
        return found

    def pause(self, places: list[TopicPartition]) -> None:
        self.paused |= {(place.topic, place.partition) for place in places}

    def resume(self, places: list[TopicPartition]) -> None:
        self.paused -= {(place.topic, place.partition) for place in places}

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        refused = self.refuses.pop(0) if self.refuses else None
        if isinstance(refused, Exception):
            raise refused
        taken = [place for place in offsets if (place.topic, place.partition) != refused]
        self.group |= {(place.topic, place.partition): place.offset for place in taken}
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

    landed: dict[Place, list[int]] = field(default_factory=dict)
    meets: dict[str, list[Exception]] = field(default_factory=dict)

    def load_schema(self, table: Table, generation: int, batch: Batch) -> None:
        """Every schema is known."""

    def land(self, table: Table, generation: int, batch: Batch) -> None:
        if self.meets.get(table.name):
            raise self.meets[table.name].pop(0)
        for partition, offset, _ in batch.records():
            self.landed.setdefault((topic_of(table), partition), []).append(offset)

    def land_odd(self, table: Table, generation: int, partition: int, offset: int, value: bytes, reason: str) -> None:
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
        landing._go_on()
        landing._commit()


class FakeBeginnings:
    def __init__(self, consumer: FakeConsumer) -> None:
        self._consumer = consumer
        self.fails: list[Exception] = []

    def of(self, group: Any, places: Any) -> Beginning:
        topics = {place.topic for place in places}
        if self.fails and topics:
            return Beginning(failed=dict.fromkeys(topics, self.fails.pop(0)))
        begun = [
            TopicPartition(place.topic, place.partition, self._consumer.group.get((place.topic, place.partition), 0)) for place in places
        ]
        return Beginning(begun, dict.fromkeys(topics, 1))


def make_bench(monkeypatch: pytest.MonkeyPatch, endpoints: Endpoints, names: tuple[str, ...], **settings: Any) -> Bench:
    consumer, worker, book = FakeConsumer(), FakeWorker(), FakeBook()
    catalog = [Catalog(tuple(table(name) for name in names))]
    decided = {topic_of(item): Decision("", 1, 0) for item in catalog[0]}

    def told(_: Any, tables: Mapping[str, Table]) -> dict[str, Decision]:
        return {topic: decided.get(topic, Decision("", 1, 0)) for topic in tables}

    monkeypatch.setattr("consumers.standstill.FIRST_WAIT", 0.0)
    monkeypatch.setattr(module, "consumer", lambda *_, **__: consumer)
    monkeypatch.setattr(module, "Beginnings", lambda *_: FakeBeginnings(consumer))
    monkeypatch.setattr(module, "SchemaBook", lambda *_: book)
    monkeypatch.setattr(module, "BatchLander", lambda *_: worker)
    monkeypatch.setattr(module, "decisions", told)
    control: Any = None
    lander = Lander(
        endpoints, LandingSettings(inserters=1, **settings), catalog[0], control, lambda *_: None, lambda: False, lambda: catalog[0]
    )
    lander._subscribe()
    return Bench(lander, consumer, worker, book, decided, catalog)
