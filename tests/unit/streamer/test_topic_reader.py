"""Each record of the result topics becomes a change of the right version, or is told; none is passed over
because a server is away."""

from __future__ import annotations

import io
import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import fastavro
import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from core.errors import TransientError
from core.settings import KafkaEndpoint, RegistryEndpoint
from core.wire import confluent
from core.wire.record import RecordDecoder
from schemas.contracts.agent_activity import agent_activity
from schemas.contracts.agent_status import agent_status
from schemas.render.result_record import envelope
from streamer.sample import topic_reader as module
from streamer.sample.control_reader import BoundTopic
from streamer.sample.state import Change
from streamer.sample.topic_reader import TopicReader

TOPIC = "realtime.agent_status"
SCHEMA = envelope(agent_status)
ROW = {
    "account_id": 1,
    "agent_id": 7,
    "team_id": 10,
    "team": None,
    "name": None,
    "state": "available",
    "reason": None,
    "since": None,
    "contacts": "{}",
    "queues": "[]",
}
SOURCE = {"connector": "test", "db": "acc_1", "ts_ms": 5, "snapshot": None, "file": "", "pos": 0, "row": 0}


def value(identity: int = 1, **more: Any) -> bytes:
    sent = io.BytesIO()
    change = {"before": None, "after": ROW | more, "source": SOURCE, "op": "u"}
    fastavro.schemaless_writer(sent, fastavro.parse_schema(SCHEMA), change)
    return confluent.frame(identity, sent.getvalue())


@dataclass
class Record:
    at: int
    data: bytes | None
    fault: KafkaError | None = None

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.at

    def error(self) -> KafkaError | None:
        return self.fault

    def value(self) -> bytes | None:
        return self.data

    def key(self) -> bytes:
        return json.dumps({"account_id": 1, "agent_id": 7}).encode()


def end_at(offset: int) -> Record:
    return Record(offset, None, KafkaError(KafkaError._PARTITION_EOF))


@dataclass
class Reader:
    """What the tail needs of a consumer."""

    records: deque[Record] = field(default_factory=deque)
    end: int = 0
    committed_at: TopicPartition | None = None
    raises: Exception | None = None

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self.raises is not None:
            raise self.raises
        return partitions if self.committed_at is None else [self.committed_at]

    def assign(self, partitions: list[TopicPartition]) -> None: ...

    def poll(self, limit: float) -> Record | None:
        if self.raises is not None:
            raise self.raises
        return self.records.popleft() if self.records else None

    def consume(self, count: int, limit: float) -> list[Record]:
        rest, self.records = list(self.records), deque()
        return rest

    def close(self) -> None: ...


class Schemas:
    """The registry."""

    def __init__(self) -> None:
        self.away = 0
        """So many calls more."""

    def schema(self, identity: int) -> str | None:
        if self.away:
            self.away -= 1
            raise TransientError("the schema registry does not answer")
        return json.dumps(SCHEMA) if identity == 1 else None


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    fake = Reader()
    monkeypatch.setattr(module, "consumer", lambda *_, **__: fake)
    monkeypatch.setattr(
        module,
        "partition_offsets",
        lambda client, partitions, spec, limit: dict.fromkeys(partitions, fake.end),
    )
    return fake


def topic_reader_of(generation: int = 1, registry: Schemas | None = None) -> TopicReader:
    topics = {TOPIC: BoundTopic(generation, 1)}
    topic_reader = TopicReader(
        KafkaEndpoint(bootstrap="nowhere"),
        RegistryEndpoint(url="nowhere"),
        [agent_status, agent_activity],
        topics,
        "group",
    )
    topic_reader._decoder = RecordDecoder((registry or Schemas()).schema)
    topic_reader.assign([TopicPartition(TOPIC, 0, 0)])
    return topic_reader


def caught_up(topic_reader: TopicReader, reader: Reader, *records: Record) -> list[Change]:
    found: list[Change] = []
    reader.records, reader.end = deque(records), records[-1].at + (0 if records[-1].fault else 1)
    topic_reader.catch_up(found.append)
    return found


@pytest.mark.parametrize("generation", [1, 2])
def test_a_version_begins_with_the_topic_s_generation(reader: Reader, generation: int) -> None:
    upsert, deletion = caught_up(topic_reader_of(generation), reader, Record(4, value()), Record(5, None))
    assert (upsert.version, deletion.version) == (generation << 48 | 8, generation << 48 | 10)
    assert (upsert.key, deletion.key, deletion.row) == ((1, 7), (1, 7), None)


@pytest.mark.parametrize(
    ("metadata", "generation", "first"), [("1", 1, 9), ("1", 2, 0), ("2", 2, 9), ("", 1, 9)]
)
def test_an_offset_committed_in_another_generation_is_not_used(
    reader: Reader, metadata: str, generation: int, first: int
) -> None:
    reader.committed_at = TopicPartition(TOPIC, 0, 9, metadata=metadata)
    assert [partition.offset for partition in topic_reader_of(generation).committed_offsets()] == [first]


def test_it_catches_up_with_a_log_that_ends_with_control_records(reader: Reader) -> None:
    assert len(caught_up(topic_reader_of(), reader, Record(0, value()), end_at(3))) == 1


def test_it_has_not_caught_up_before_the_end(reader: Reader) -> None:
    reader.end = 5
    reader.records = deque([Record(0, value())])
    with pytest.raises(TransientError, match="were not read to their ends"):
        topic_reader_of().catch_up(lambda change: None, limit=0)


def test_a_record_waits_for_its_schema_while_the_registry_is_unavailable(reader: Reader) -> None:
    registry = Schemas()
    registry.away = 3
    topic_reader = topic_reader_of(registry=registry)
    assert [
        change.version >> 1 & 0xFF
        for change in caught_up(topic_reader, reader, Record(0, value()), Record(1, value()))
    ] == [0, 1]


@pytest.mark.parametrize(
    "bad", [b"", b"{}", confluent.frame(9, b"\0"), value()[:-9], value()[:5] + b"\xff" * 20]
)
def test_only_a_record_that_cannot_be_decoded_is_skipped(reader: Reader, bad: bytes) -> None:
    assert [
        change.version >> 1
        for change in caught_up(topic_reader_of(), reader, Record(0, bad), Record(1, value()))
    ] == [(1 << 47) + 1]


@pytest.mark.parametrize(
    "error", [OverflowError("date value out of range"), AssertionError("no"), RecursionError("no")]
)
def test_a_record_that_raises_any_exception_is_skipped(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    topic_reader, whole = topic_reader_of(), TopicReader._change

    def change(self: TopicReader, table: Any, key: Any, data: Any, version: int) -> Change | None:
        if version & 0xFF == 0:
            raise error
        return whole(self, table, key, data, version)

    monkeypatch.setattr(TopicReader, "_change", change)
    assert len(caught_up(topic_reader, reader, Record(0, value()), Record(1, value()))) == 1


def test_an_unexpected_end_has_its_cause(reader: Reader) -> None:
    topic_reader = topic_reader_of()
    reader.raises = KafkaException(KafkaError(KafkaError._FATAL))
    topic_reader.start(lambda changes: None)
    assert topic_reader._thread is not None
    topic_reader._thread.join(30)
    assert (topic_reader.ended, topic_reader.failure) == (True, reader.raises)
    topic_reader.stop()
    assert not topic_reader.ended


def test_an_unavailable_kafka_is_a_transient_error(reader: Reader) -> None:
    reader.raises = KafkaException(KafkaError(KafkaError._TRANSPORT))
    with pytest.raises(TransientError, match="Kafka at nowhere does not answer"):
        topic_reader_of().committed_offsets()
