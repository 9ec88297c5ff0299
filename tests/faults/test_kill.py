"""Landers killed, held up and sent away in the middle of traffic: verify finds the copies equal
afterwards."""

from __future__ import annotations

from confluent_kafka import ConsumerGroupTopicPartitions

from core.clients.kafka import admin
from schemas.names import topic_of
from schemas.render.clickhouse import storage_table
from tests.faults.running import SAMPLE, away, held, is_equal, traffic_of, wait_for_changes
from tests.pipeline import Pipeline, end, eventually


def test_landers_wait_for_a_clickhouse_that_is_away(faulty: Pipeline) -> None:
    with faulty.lander(retry_seconds="0.1") as lander, traffic_of(faulty) as traffic:
        with away(faulty, "clickhouse"):
            before = len(faulty.lander_log("table waits"))
            wait_for_changes(traffic, 100)
            eventually(lambda: len(faulty.lander_log("table waits", "does not answer")) > before + 20)
        wait_for_changes(traffic, 100)
        assert lander.poll() is None
    with faulty.lander():
        assert is_equal(faulty)


def test_landers_wait_for_a_mysql_that_is_away(faulty: Pipeline) -> None:
    begun = len(faulty.lander_log('"assigned"'))
    with faulty.lander() as lander:
        eventually(lambda: len(faulty.lander_log('"assigned"')) > begun)
        with traffic_of(faulty) as traffic:
            wait_for_changes(traffic, 100)
        before = len(faulty.lander_log("the tables to land cannot be read"))
        with away(faulty, "mysql"):
            # it cannot read the topics' generations
            other = faulty.start_lander()
            eventually(lambda: len(faulty.lander_log("the tables to land cannot be read")) > before)
        end(other)
        faulty.heal()
        with traffic_of(faulty) as traffic:
            wait_for_changes(traffic, 100)
        assert is_equal(faulty)
        assert lander.poll() is None


def test_a_killed_lander_loses_and_doubles_nothing(faulty: Pipeline) -> None:
    with traffic_of(faulty) as traffic:
        both = [faulty.start_lander(session_seconds="6"), faulty.start_lander(session_seconds="6")]
        wait_for_changes(traffic, 300)
        for lander in both:
            lander.kill()
        for lander in both:
            lander.wait()
        wait_for_changes(traffic, 100)
        second, third = faulty.start_lander(session_seconds="6"), faulty.start_lander()
        wait_for_changes(traffic, 300)
        second.kill()
        second.wait()
        wait_for_changes(traffic, 100)
    assert is_equal(faulty)
    assert end(third) == 0


def unlanded(pipeline: Pipeline) -> list[tuple[str, int]]:
    """(topic, partition) where rows stand in ClickHouse above what the group has committed."""
    group = pipeline.settings.landing.group
    client = admin(pipeline.endpoints.kafka)
    answered = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result()
    committed = {
        (partition.topic, partition.partition): partition.offset for partition in answered.topic_partitions
    }
    found = []
    for table in pipeline.catalog.select(SAMPLE):
        newest = pipeline.landed(
            f"SELECT _partition, max(_offset) FROM {storage_table(table)} GROUP BY _partition"
        )
        found += [
            (topic_of(table), number)
            for number, offset in newest
            if committed[topic_of(table), number] <= offset
        ]
    return found


def test_landers_that_come_and_go_while_clickhouse_holds_them_up_have_committed_what_landed(
    faulty: Pipeline,
) -> None:
    small = {"batch_rows": "10", "batch_bytes": "10000", "memory_bytes": "20000"}
    begun = len(faulty.lander_log('"landing"'))
    with traffic_of(faulty) as traffic, faulty.lander(**small) as first:
        wait_for_changes(traffic, 100)
        with faulty.lander(**small) as second:
            with held(faulty, "clickhouse"):
                wait_for_changes(traffic, 300)
            eventually(lambda: len(faulty.lander_log('"landing"')) == begun + 2)
            wait_for_changes(traffic, 100)
        wait_for_changes(traffic, 100)
    assert (first.returncode, second.returncode) == (0, 0)
    assert unlanded(faulty) == []
    with faulty.lander():
        assert is_equal(faulty)
