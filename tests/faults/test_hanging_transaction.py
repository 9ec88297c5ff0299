"""A transaction that Kafka's coordinator has forgotten: the supervisor ends it, and verify finds the copies
equal."""

from __future__ import annotations

from confluent_kafka import Message

from connectors.hanging_transactions import ABORTED_KEY
from connectors.rest import KafkaConnect
from core.clients.kafka import producer, read_topic
from core.settings import CONNECT_GROUP, CONNECT_OFFSET_TOPIC
from switchboard import stack as local_stack
from tests.faults.running import is_equal, traffic_of, wait_for_changes
from tests.pipeline import Pipeline, eventually

TRANSACTIONAL_ID = f"{CONNECT_GROUP}-mysql-main-0"
COORDINATOR_TOPIC = "__transaction_state"
INTERNAL_CLIENT = "__admin_client"
"""The only client id whose records Kafka takes into internal topics."""
OPEN_IN = (("cdc.interactions", 0), (CONNECT_OFFSET_TOPIC, 0))
LIMIT = 4.0
"""Seconds; longer than a transaction of a connector that runs."""


def coordinator_state(pipeline: Pipeline) -> Message:
    """The coordinator's newest record about the connector's transactional id."""
    records = list(read_topic(pipeline.endpoints.kafka, COORDINATOR_TOPIC))
    return [record for record in records if TRANSACTIONAL_ID.encode() in (record.key() or b"")][-1]


def leave_transaction_open(pipeline: Pipeline) -> None:
    """Opens a transaction as the connector's producer and makes the coordinator forget it, as a crash of
    Kafka may."""
    connect = KafkaConnect(pipeline.endpoints.connect)
    connect.change("mysql-main", "stop")
    eventually(lambda: not connect.status("mysql-main")["tasks"])
    opener = producer(pipeline.endpoints.kafka, **{"transactional.id": TRANSACTIONAL_ID})
    opener.init_transactions(15)
    before = coordinator_state(pipeline)
    opener.begin_transaction()
    for topic, partition in OPEN_IN:
        opener.produce(topic, key=ABORTED_KEY, value=None, partition=partition)
    assert opener.flush(15) == 0
    forger = producer(pipeline.endpoints.kafka, **{"client.id": INTERNAL_CLIENT})
    forger.produce(
        COORDINATOR_TOPIC, key=before.key(), value=before.value(), partition=before.partition() or 0
    )
    assert forger.flush(15) == 0
    local_stack.kill(pipeline.home, "kafka")
    del opener
    local_stack.start_service(pipeline.home, "kafka")
    eventually(lambda: connect.names())
    connect.change("mysql-main", "resume")


def test_the_supervisor_aborts_a_transaction_that_no_coordinator_knows(faulty: Pipeline) -> None:
    leave_transaction_open(faulty)
    settings = {"SWITCHBOARD_CONNECTORS__HANGING_TRANSACTION_SECONDS": str(LIMIT)}
    with faulty.lander(), traffic_of(faulty) as traffic:
        wait_for_changes(traffic, 100)
        before = len(faulty.log_lines("watch", "the hanging transaction is aborted"))
        with faulty.watch(**settings):
            eventually(lambda: len(faulty.log_lines("watch", "the hanging transaction is aborted")) > before)
            wait_for_changes(traffic, 100)
            faulty.heal()
            assert is_equal(faulty)
