"""How much a group has left to read, where logs end with control records that nobody is handed."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.cimpl import NewTopic

from consumers.consumer_lag import LagTracker
from core.clients.kafka import admin, consumer
from core.settings import Endpoints
from tests.conftest import Space

PARTITIONS = 5
RECORDS = 3


@pytest.fixture
def topic(stack: Endpoints, space: Space) -> str:
    name = space.name("reach")
    client = admin(stack.kafka)
    client.create_topics([NewTopic(name, num_partitions=PARTITIONS, replication_factor=1)])[name].result(30)
    return name


def written(stack: Endpoints, topic: str, partition: int) -> None:
    """In a transaction, whose end is a control record behind them."""
    sender = Producer(
        {"bootstrap.servers": stack.kafka.bootstrap, "transactional.id": f"{topic}-{partition}"}
    )
    sender.init_transactions(30)
    sender.begin_transaction()
    for _ in range(RECORDS):
        sender.produce(topic, value=b"x", partition=partition)
    sender.commit_transaction(30)


def committed(stack: Endpoints, group: str, topic: str, offsets: dict[int, int]) -> None:
    member = consumer(stack.kafka, group)
    member.commit(
        offsets=[TopicPartition(topic, partition, offset) for partition, offset in offsets.items()],
        asynchronous=False,
    )
    member.close()


def test_control_records_are_not_left_and_records_are(stack: Endpoints, topic: str) -> None:
    whole, begun, not_begun, twice = range(PARTITIONS - 1)  # and an empty one
    for partition in (whole, begun, not_begun, twice, twice):
        written(stack, topic, partition)
    committed(stack, topic, topic, {whole: RECORDS, begun: 1, twice: RECORDS})
    lag = LagTracker(stack.kafka, topic, [topic, "no such topic"])
    try:
        assert lag.total == 5 * (RECORDS + 1)
        assert lag.remaining() == RECORDS + (RECORDS + 1) + (RECORDS + 2)
        committed(stack, topic, topic, {begun: RECORDS, not_begun: RECORDS + 1, twice: 2 * RECORDS + 1})
        assert lag.remaining() == 0
        written(stack, topic, begun)
        assert lag.remaining() == 0  # its end was noted before
    finally:
        lag.close()
