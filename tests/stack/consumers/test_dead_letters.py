"""A record that cannot land is set aside alone; its neighbours land."""

from __future__ import annotations

from confluent_kafka import Consumer, Producer, TopicPartition

from consumers.deadletters import DeadLetter, read
from consumers.replay import replay
from core.clients.registry import Registry
from core.wire import confluent
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually
from tests.stack.consumers.test_landing import landed_count, make_shard, survey

TOPIC = "cdc.surveys"


def letters(pipeline: Pipeline, mark: bytes) -> list[DeadLetter]:
    return [letter for letter in read(pipeline.endpoints.kafka, TOPIC) if mark in letter.value]


def send(pipeline: Pipeline, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": pipeline.endpoints.kafka.bootstrap})
    for value in values:
        producer.produce(TOPIC, key=b"{}", value=value, partition=0)
    assert producer.flush(30) == 0


def newest_value(pipeline: Pipeline, mark: bytes) -> bytes:
    """The raw record of the row whose comment is `mark`."""
    reader = Consumer({"bootstrap.servers": pipeline.endpoints.kafka.bootstrap, "group.id": f"read-{mark.hex()}"})
    try:
        reader.assign([TopicPartition(TOPIC, partition, 0) for partition in range(4)])
        for _ in range(200):
            for message in reader.consume(1000, 0.2):
                if mark in (message.value() or b""):
                    return bytes(message.value() or b"")
    finally:
        reader.close()
    raise AssertionError(f"no record with {mark!r}")


def test_corrupt_records_go_aside_and_their_neighbours_land(pipeline: Pipeline, space: Space) -> None:
    shard, mark = space.name("acc"), space.name("corrupt").encode()
    make_shard(pipeline, shard)
    survey(pipeline, shard, 1, mark.decode())
    eventually(lambda: landed_count(pipeline, "surveys", shard, 1))
    good = newest_value(pipeline, mark)
    shifted = good + mark
    cut = good[:-9] + mark
    unframed = b"\x07" + mark
    unknown = confluent.frame(987_654, mark)
    send(pipeline, shifted, good, cut, unframed, good, unknown)
    survey(pipeline, shard, 2)
    eventually(lambda: len(letters(pipeline, mark)) == 4)
    assert {letter.value for letter in letters(pipeline, mark)} == {shifted, cut, unframed, unknown}
    eventually(lambda: landed_count(pipeline, "surveys", shard, 2))
    assert pipeline.equal("surveys", shards=(shard,))


def test_a_replayed_letter_never_beats_a_newer_row(pipeline: Pipeline, space: Space) -> None:
    shard, mark = space.name("acc"), space.name("replayed").encode()
    make_shard(pipeline, shard)
    survey(pipeline, shard, 1, mark.decode())
    eventually(lambda: landed_count(pipeline, "surveys", shard, 1))
    send(pipeline, newest_value(pipeline, mark) + mark)
    eventually(lambda: letters(pipeline, mark))
    pipeline.sql("UPDATE surveys SET comment = 'newer' WHERE survey_id = 1", database=shard)
    query = f"SELECT comment FROM base.surveys WHERE _shard = '{shard}'"
    eventually(lambda: pipeline.landed(query) == [("newer",)])
    done, failed = replay(pipeline.endpoints, pipeline.settings.landing, pipeline.catalog, pipeline.control, TOPIC, "no such reason")
    assert (done, failed) == (0, 0)
    replay(pipeline.endpoints, pipeline.settings.landing, pipeline.catalog, pipeline.control, TOPIC, "")
    assert pipeline.landed(query) == [("newer",)]
    assert pipeline.equal("surveys", shards=(shard,))


def test_the_registry_serves_the_id_that_records_carry(pipeline: Pipeline, space: Space) -> None:
    shard, mark = space.name("acc"), space.name("known").encode()
    make_shard(pipeline, shard)
    survey(pipeline, shard, 1, mark.decode())
    eventually(lambda: landed_count(pipeline, "surveys", shard, 1))
    identity = confluent.schema_id(newest_value(pipeline, mark))
    assert identity is not None
    schema = Registry(pipeline.endpoints.registry).schema(identity)
    assert schema is not None
    assert "Envelope" in schema
