"""What somebody has changed in ClickHouse or Kafka by hand: a plan shows it, and `apply` restores it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.cimpl import NewTopic

from consumers.planner import ClickHousePlanner
from consumers.topic_planner import TopicPlanner
from core.clients.kafka import admin
from core.control.table_health import NEEDS_SNAPSHOT, conditions
from core.settings import TopicSettings
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog
from schemas.names import dlq_of, topic_of
from schemas.plan_step import Step
from schemas.render.clickhouse import current_view, storage_table
from schemas.render.connect import history_topic
from schemas.table import (
    ClickHouse,
    Computed,
    Latest,
    Month,
    Scd2,
    Shards,
    Table,
    immutable,
    optional,
    required,
)
from tests.conftest import Space
from tests.pipeline import Pipeline


def contract(name: str, keep_days: int | None = 30) -> Table:
    columns = (
        immutable(1, "id", t.Int(32), p.PUBLIC),
        immutable(2, "begun at", t.DateTime(3), p.PUBLIC),
        optional(3, "word", t.Text(), p.PUBLIC),
    )
    storage = ClickHouse(partition_by=Month("begun at"), keep_days=keep_days, order_by=("id", "begun at"))
    return Table(name, Shards(f"{name}_*"), ("id",), Scd2(), columns, clickhouse=storage)


def plan(pipeline: Pipeline, table: Table) -> list[Step]:
    return ClickHousePlanner(pipeline.endpoints, Catalog((table,)), pipeline.control).plan()


def apply(pipeline: Pipeline, table: Table) -> None:
    planner = ClickHousePlanner(pipeline.endpoints, Catalog((table,)), pipeline.control)
    for step in planner.plan():
        planner.apply(step)
    assert planner.plan() == []


def test_rows_are_read_again_if_their_zero_dates_become_something_else(
    pipeline: Pipeline, space: Space
) -> None:
    name = space.name("zeros")
    key = immutable(1, "id", t.Int(32), p.PUBLIC)
    day = required(2, "day", t.Date(), p.PUBLIC)
    table = Table(name, Shards(f"{name}_*"), ("id",), Latest(), (key, day))
    apply(pipeline, table)
    for column, becomes in (
        (replace(day, nullable=True), "NULL"),
        (replace(day, zero="1900-01-01"), "1900-01-01"),
    ):
        changed = replace(table, columns=(key, column))
        (step,) = plan(pipeline, changed)
        assert step.summary.endswith(f"; zero dates of day become {becomes}, so its rows are read again")
        apply(pipeline, changed)
        (found,) = (item for item in conditions(pipeline.control) if item.table == name)
        assert (found.state, found.reason) == (
            NEEDS_SNAPSHOT,
            f"zero dates of day become {becomes}, so its rows are read again",
        )


def columns(pipeline: Pipeline, table: Table) -> list[str]:
    return [row[0] for row in pipeline.landed(f"DESCRIBE TABLE {current_view(table)}")]


def retention(pipeline: Pipeline, table: Table) -> str:
    ((engine,),) = pipeline.landed(
        f"SELECT engine_full FROM system.tables WHERE database = 'landed' AND name = '{table.name}'"
    )
    return str(engine).partition(" TTL ")[2].partition(" SETTINGS ")[0]


def needing_snapshot(pipeline: Pipeline, table: Table) -> list[str]:
    return [
        item.reason
        for item in conditions(pipeline.control)
        if item.table == table.name and item.state == NEEDS_SNAPSHOT
    ]


@pytest.fixture
def table(pipeline: Pipeline, space: Space) -> Iterator[Table]:
    """A table whose contract is applied."""
    created = contract(space.name("by_hand"))
    apply(pipeline, created)
    yield created
    pipeline.clickhouse.command(f"DROP VIEW IF EXISTS {current_view(created)}")
    pipeline.clickhouse.command(f"DROP TABLE IF EXISTS {storage_table(created)} SYNC")


def test_a_dropped_view_is_created_again(pipeline: Pipeline, table: Table) -> None:
    pipeline.clickhouse.command(f"DROP VIEW {current_view(table)}")
    (step,) = plan(pipeline, table)
    assert (step.action, step.summary) == ("run", "create its view, which is missing")
    apply(pipeline, table)
    assert columns(pipeline, table)[:3] == ["id", "begun at", "word"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id FROM {table} FINAL",
        "SELECT *, 1 AS one FROM {table} FINAL SETTINGS do_not_merge_across_partitions_select_final = 1",
        "SELECT * FROM {table} WHERE _deleted = 0",
    ],
)
def test_a_view_that_somebody_has_replaced_is_recreated(pipeline: Pipeline, table: Table, query: str) -> None:
    before = columns(pipeline, table)
    changed = query.format(table=storage_table(table))
    pipeline.clickhouse.command(f"CREATE OR REPLACE VIEW {current_view(table)} AS {changed}")
    (step,) = plan(pipeline, table)
    assert step.summary.startswith("recreate its view")
    apply(pipeline, table)
    assert columns(pipeline, table) == before


def test_a_view_with_a_column_that_landing_has_added_is_as_it_should_be(
    pipeline: Pipeline, table: Table
) -> None:
    pipeline.clickhouse.command(f"ALTER TABLE {storage_table(table)} ADD COLUMN extra Nullable(String)")
    apply(pipeline, table)
    assert "extra" in columns(pipeline, table)


@pytest.mark.parametrize(
    ("keep_days", "destructive", "wanted"),
    [(90, False, 90), (None, False, None), (7, True, 7)],
)
def test_another_retention_is_applied_and_a_shorter_one_has_to_be_allowed(
    pipeline: Pipeline, table: Table, keep_days: int | None, destructive: bool, wanted: int | None
) -> None:
    changed = contract(table.name, keep_days)
    (step,) = plan(pipeline, changed)
    assert step.destructive is destructive
    assert step.diff[0].startswith("~ rows expire at toDateTime(begun at) + toIntervalDay(30) -> ")
    apply(pipeline, changed)
    expected = "" if wanted is None else f"toDateTime(`begun at`) + toIntervalDay({wanted})"
    assert retention(pipeline, table) == expected
    apply(pipeline, table)


def test_a_retention_that_somebody_has_changed_is_restored(pipeline: Pipeline, table: Table) -> None:
    expected = retention(pipeline, table)
    pipeline.clickhouse.command(f"ALTER TABLE {storage_table(table)} REMOVE TTL")
    (step,) = plan(pipeline, table)
    assert step.destructive, "rows that were kept meanwhile expire"
    apply(pipeline, table)
    assert retention(pipeline, table) == expected


def test_rows_of_a_dropped_column_are_read_again(pipeline: Pipeline, table: Table) -> None:
    pipeline.clickhouse.command(f"DROP VIEW {current_view(table)}")
    pipeline.clickhouse.command(f"ALTER TABLE {storage_table(table)} DROP COLUMN word")
    (step,) = plan(pipeline, table)
    assert step.summary == "alter the table; word was dropped, and its rows are read again"
    assert needing_snapshot(pipeline, table) == []
    apply(pipeline, table)
    assert needing_snapshot(pipeline, table) == ["dropped in ClickHouse: word"]
    assert "word" in columns(pipeline, table)


def test_rows_of_a_dropped_table_are_read_again(pipeline: Pipeline, table: Table) -> None:
    pipeline.clickhouse.command(f"DROP TABLE {storage_table(table)} SYNC")
    (step,) = plan(pipeline, table)
    assert step.summary.endswith("; it was dropped, and its rows are read again")
    apply(pipeline, table)
    assert needing_snapshot(pipeline, table) == ["the table was dropped in ClickHouse"]


def test_rows_of_a_dropped_result_are_computed_again(pipeline: Pipeline, table: Table) -> None:
    pipeline.clickhouse.command(f"DROP TABLE {storage_table(table)} SYNC")
    result = replace(
        table,
        source=Computed("our_job", "realtime"),
        key=("id", "begun at"),
        clickhouse=replace(table.clickhouse, order_by=()),
    )
    (step,) = plan(pipeline, result)
    remedy = "`switchboard backfill plan our_job` computes its rows again"
    assert step.summary.endswith(f"it was dropped, and {remedy}")


def test_settings_of_topics_are_restored(pipeline: Pipeline, space: Space) -> None:
    created = contract(space.name("topic_by_hand"))
    planner = TopicPlanner(
        pipeline.endpoints, TopicSettings(partitions=1), Catalog((created,)), pipeline.control
    )
    topic, history = topic_of(created), history_topic("main")
    names = {topic, dlq_of(topic)}
    for step in planner.plan():
        if step.subject in names:
            planner.apply(step)

    kafka = admin(pipeline.endpoints.kafka)
    changes = {
        topic: {"cleanup.policy": "compact", "min.insync.replicas": "2"},
        dlq_of(topic): {"retention.ms": "60000"},
        history: {"retention.ms": "60000"},
    }
    for name, values in changes.items():
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
            for key, value in values.items()
        ]
        resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
        kafka.incremental_alter_configs([resource])[resource].result(15)

    steps = {step.subject: step for step in planner.plan() if step.subject in {*names, history}}
    assert steps[topic].summary == "change cleanup.policy, min.insync.replicas"
    assert steps[topic].diff == ("~ cleanup.policy: compact -> delete", "~ min.insync.replicas: 2 -> 1")
    assert steps[history].summary == "keep records forever, not 0.0166667 hours"
    assert not any(step.destructive for step in steps.values())
    for step in steps.values():
        planner.apply(step)
    assert not [step for step in planner.plan() if step.subject in {*names, history}]


def test_another_number_of_replicas_is_shown_with_what_can_change_it(
    pipeline: Pipeline, space: Space
) -> None:
    created = contract(space.name("replicas"))
    kafka, topic = admin(pipeline.endpoints.kafka), topic_of(created)
    kafka.create_topics([NewTopic(topic, 1, 1)])[topic].result(15)
    settings = TopicSettings(partitions=1, replicas=3)
    planner = TopicPlanner(pipeline.endpoints, settings, Catalog((created,)), pipeline.control)
    (step,) = (step for step in planner.plan() if "replicas" in step.summary and step.subject == topic)
    assert "has 1 replicas, not 3: change that by kafka-reassign-partitions" in step.summary
    planner.apply(step)
    kafka.delete_topics([topic])[topic].result(15)
