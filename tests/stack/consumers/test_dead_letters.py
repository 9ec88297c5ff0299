"""A record that cannot land is set aside alone; its neighbours land."""

from __future__ import annotations

import json
import time

from confluent_kafka import Consumer, Producer, TopicPartition

from consumers.dead_letters import DeadLetter, read
from core.clients.registry import Registry
from core.wire import confluent
from schemas.names import dlq_of
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
    reader = Consumer(
        {"bootstrap.servers": pipeline.endpoints.kafka.bootstrap, "group.id": f"read-{mark.hex()}"}
    )
    try:
        reader.assign([TopicPartition(TOPIC, partition, 0) for partition in range(4)])
        for _ in range(200):
            for message in reader.consume(1000, 0.2):
                if mark in (message.value() or b""):
                    return bytes(message.value() or b"")
    finally:
        reader.close()
    raise AssertionError(f"no record with {mark!r}")


def test_corrupt_records_become_dead_letters_and_their_neighbours_land(
    pipeline: Pipeline, space: Space
) -> None:
    shard, mark = space.name("acc"), space.name("corrupt").encode()
    make_shard(pipeline, shard)
    survey(pipeline, shard, 1, mark.decode())
    eventually(lambda: landed_count(pipeline, "surveys", shard, 1))
    good = newest_value(pipeline, mark)
    shifted = good + mark
    cut = good[:-9] + mark
    unframed = b"\x07" + mark
    unknown = confluent.frame(987_654, mark)
    too_large = confluent.NOTE + b"a record of 17000000 bytes " + mark
    send(pipeline, shifted, good, cut, b"", unframed, b"\0", good, unknown, too_large)
    survey(pipeline, shard, 2)
    eventually(lambda: len(letters(pipeline, mark)) == 5)
    found = {letter.value: letter for letter in letters(pipeline, mark)}
    assert found.keys() == {shifted, cut, unframed, unknown, too_large}
    assert len({letter.record.offset for letter in found.values()}) == 5
    assert {
        letter.value: (letter.record.topic, letter.record.partition, letter.schema_id)
        for letter in found.values()
    } == {
        shifted: (TOPIC, 0, confluent.schema_id(good)),
        cut: (TOPIC, 0, confluent.schema_id(good)),
        unframed: (TOPIC, 0, None),
        unknown: (TOPIC, 0, 987_654),
        too_large: (TOPIC, 0, None),
    }
    assert found[too_large].reason.startswith(f"a record of 17000000 bytes {mark.decode()}; its key: ")
    assert found[unknown].reason == "schema id 987654 is not in the registry"
    assert found[unframed].reason == "not in Confluent framing"
    assert all(abs(letter.time / 1000 - time.time()) < 300 for letter in found.values())
    bare = [letter.value for letter in read(pipeline.endpoints.kafka, TOPIC) if len(letter.value) < 2]
    assert {b"", b"\0"} <= set(bare)
    eventually(lambda: landed_count(pipeline, "surveys", shard, 2))
    assert pipeline.equal("surveys", shards=(shard,))


def test_letters_are_shown_and_replayed_by_reason_and_a_foreign_record_is_reported(
    pipeline: Pipeline, space: Space
) -> None:
    mark = space.name("foreign").encode()
    unframed = b"\x07" + mark
    send(pipeline, unframed)
    (letter,) = eventually(lambda: letters(pipeline, mark))
    producer = Producer({"bootstrap.servers": pipeline.endpoints.kafka.bootstrap})
    producer.produce(dlq_of(TOPIC), value=b"whoever", headers={"topic": "x"})
    assert producer.flush(30) == 0
    listed = pipeline.command("dlq", "list", "--topic", TOPIC).stdout
    assert f"{letter.record} schema None: not in Confluent framing" in listed
    assert "not a dead letter of Switchboard" in listed
    shown = json.loads(pipeline.command("dlq", "show", str(letter.record)).stdout)
    assert (shown["value"], shown["reason"]) == (unframed.hex(), "not in Confluent framing")
    assert "no dead letter" in pipeline.command("dlq", "show", f"{TOPIC}[0]@999999999").stdout
    replayed = pipeline.command("dlq", "replay", "--topic", TOPIC, "--reason", "no such reason")
    assert (replayed.returncode, replayed.stdout.strip()) == (0, "0 landed, 0 could not be landed")
    replayed = pipeline.command("dlq", "replay", "--topic", TOPIC, "--reason", "Confluent framing")
    assert replayed.returncode == 1
    assert replayed.stdout.startswith("0 landed, ")


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
