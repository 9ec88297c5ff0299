"""A computed table's sink and the deletes that bring only their key."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from core.errors import ContractError
from core.settings import SAMPLE_JOBS, KafkaEndpoint, RegistryEndpoint
from flink_jobs.job_list import load_jobs
from flink_jobs.jobs import Job, JobRun, result_table, statements
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import load
from schemas.names import topic_of
from schemas.render.clickhouse import current_view
from schemas.render.flink import newest_view
from schemas.render.flink_sink import create_sink, insert_into
from schemas.render.landing import tombstone_query
from schemas.table import Append, ClickHouse, Computed, Table, immutable, required
from tests.golden import reviewed
from tests.nowhere import ENDPOINTS

CATALOG = load("schemas.contracts")
JOBS = load_jobs(SAMPLE_JOBS)
KAFKA, REGISTRY = KafkaEndpoint(bootstrap="kafka:9092"), RegistryEndpoint(url="http://registry")


def rendered() -> dict[str, str]:
    table = CATALOG["queue_minutes"]
    return {
        "queue_minutes.sink.sql": create_sink(table, KAFKA, REGISTRY)
        + ";\n\n"
        + insert_into(table, "SELECT * FROM results")
        + ";\n",
        "queue_minutes.tombstones.sql": tombstone_query(table, generation=1) + "\n",
        "interactions.newest.sql": newest_view(CATALOG["interactions"]) + ";\n",
    }


@pytest.mark.parametrize(
    "name", ["queue_minutes.sink.sql", "queue_minutes.tombstones.sql", "interactions.newest.sql"]
)
def test_what_is_rendered_is_what_was_reviewed(name: str) -> None:
    text = rendered()[name]
    assert text == reviewed(name, text)


def test_a_computed_table_has_a_topic_and_a_view_of_its_tier_and_no_connector() -> None:
    table = CATALOG["queue_minutes"]
    assert (topic_of(table), current_view(table)) == ("realtime.queue_minutes", "realtime.`queue_minutes`")
    assert table not in CATALOG.captured.tables


def test_a_computed_table_is_ordered_by_exactly_its_key() -> None:
    columns = (immutable(1, "id", t.Int(32), p.PUBLIC), immutable(2, "day", t.Date(), p.PUBLIC))
    with pytest.raises(ContractError, match="ordered by exactly its key"):
        Table(
            "x",
            Computed("x", "realtime"),
            ("id",),
            Append(),
            columns,
            clickhouse=ClickHouse(order_by=("day", "id")),
        )


def test_only_what_jobs_can_write_has_a_sink() -> None:
    with pytest.raises(ContractError, match="not computed by a job"):
        create_sink(CATALOG["interactions"], KAFKA, REGISTRY)
    columns = (immutable(1, "id", t.Int(32), p.PUBLIC), required(2, "clock", t.Time(), p.PUBLIC))
    with pytest.raises(ContractError, match="jobs cannot write a column of type Time"):
        create_sink(Table("x", Computed("x", "realtime"), ("id",), Append(), columns), KAFKA, REGISTRY)


@pytest.mark.parametrize("job", list(JOBS), ids=lambda job: job.name)
def test_every_job_reads_what_it_names_and_writes_its_table_last(job: Job) -> None:
    rendered = statements(JobRun(job, result_table(job, CATALOG)), CATALOG, ENDPOINTS, {})
    assert rendered[-1].startswith(f"INSERT INTO `{result_table(job, CATALOG).name}_sink`")
    text = "\n".join(rendered[2 * len(job.reads) :])
    assert [name for name in job.reads if f"{name}_log" not in text and f" {name}" not in text] == []


def test_a_backfill_reads_events_from_its_time_on_and_metadata_whole() -> None:
    job = JOBS["structured_interactions"]
    result = replace(result_table(job, CATALOG), generation=2)
    begins = dt.datetime(2026, 1, 2, 3, 4, 5)
    rendered = JobRun(job, result, begins)
    sources = dict(zip(job.reads, statements(rendered, CATALOG, ENDPOINTS, {}), strict=False))
    assert "'scan.startup.timestamp-millis' = '1767323045000'" in sources["interactions"]
    assert "'earliest-offset'" in sources["agents"]
    *_, sink, insert = statements(rendered, CATALOG, ENDPOINTS, {"cdc.interactions": 3})
    assert "'topic' = 'structured.structured_interactions__g2'" in sink
    assert insert.endswith("WHERE `started_at` >= TIMESTAMP '2026-01-02 03:04:05'")
    assert rendered.name == "structured_interactions.g2"
