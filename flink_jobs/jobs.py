"""The jobs: which tables each reads, and the SQL of its result, from sources and sinks rendered from the contracts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import MisconfiguredError
from core.settings import Endpoints
from schemas.catalog import Catalog
from schemas.names import topic_of
from schemas.render.flink import create_source, name, newest_view, text
from schemas.render.flink_sink import create_sink, insert_into
from schemas.table import Computed, Metadata, Shards, Table

SQL = Path(__file__).parent / "sql"
IDLE_FETCH_MILLISECONDS = "2000"
"""How long the broker holds a fetch for which it has no record; one that arrives is sent at once. Kafka's default of 500 makes
brokers and jobs spend most of an idle topic's CPU on empty answers."""


@dataclass(frozen=True)
class Job:
    """`files` are the parts of its SQL in order; the last statement of the last is the query of its result."""

    name: str
    reads: tuple[str, ...]
    files: tuple[str, ...]
    checkpoint_seconds: float
    """Exactly-once results are seen when a checkpoint is done; for the others it is how far a restart steps back."""
    state_days: float
    """What of contacts has not been touched for so long is forgotten; who the agents and the queues are never is."""
    margin: dt.timedelta = dt.timedelta()
    """A backfill's rows from a time on hang on records from so long before it, too: a session's log-in, a contact's segments."""


JOBS = (
    Job(
        "agent_status",
        ("agents", "teams", "queue_members", "agent_activity", "interactions"),
        ("activities", "agents_now", "agent_status"),
        30,
        14,
    ),
    Job(
        "queue_stats",
        ("agents", "teams", "queues", "queue_members", "agent_activity", "interactions"),
        ("activities", "agents_now", "queue_stats"),
        30,
        14,
    ),
    Job("queue_minutes", ("queues", "interactions", "interaction_segments"), ("queue_minutes",), 30, 14, dt.timedelta(days=1)),
    Job(
        "structured_interactions",
        ("accounts", "agents", "teams", "queues", "interactions", "interaction_segments", "surveys"),
        ("structured_interactions",),
        5,
        100,
    ),
    Job("agent_sessions", ("agent_activity",), ("activities", "agent_sessions"), 5, 3, dt.timedelta(days=2)),
)


def job_named(name: str) -> Job:
    for job in JOBS:
        if job.name == name:
            return job
    raise MisconfiguredError(f"there is no job {name!r}", f"the jobs are {', '.join(job.name for job in JOBS)}")


def result_of(job: Job, catalog: Catalog) -> Table:
    """The table that the job computes. Raises MisconfiguredError if the contracts in force have none."""
    for table in catalog:
        if isinstance(table.source, Computed) and table.source.job == job.name:
            return table
    raise MisconfiguredError(
        f"no contract names a table that job {job.name!r} computes", "name the job in a contract by source=Computed(...)"
    )


@dataclass(frozen=True)
class Making:
    """A job that fills one generation of its result. With `begins`, in UTC, rows from that time on are computed, and no others."""

    job: Job
    result: Table
    begins: dt.datetime | None = None

    @property
    def name(self) -> str:
        """Flink's name of it, and its consumer group's."""
        return self.job.name if self.result.generation == 1 else f"{self.job.name}.g{self.result.generation}"


def lasting(job: Job, catalog: Catalog) -> tuple[set[str], set[str]]:
    """The topics, of those that the job reads, which grow with the tenants alone; and the columns that name what they are about."""
    tables = [catalog[name] for name in job.reads if isinstance(catalog[name].source, Metadata)]
    named = {column for table in tables for column in (*table.key, table.tenant) if column is not None}
    return {topic_of(table) for table in tables}, named


def topics_of(job: Job, catalog: Catalog) -> list[str]:
    """The topics that the job reads."""
    return [topic_of(catalog[name]) for name in job.reads]


def time_column(result: Table) -> str | None:
    """The column by which rows belong to days; None for a result that tells how things are now."""
    return None if result.clickhouse.partition_by is None else result.clickhouse.partition_by.column


def statements(made: Making, catalog: Catalog, endpoints: Endpoints, generations: Mapping[str, int]) -> list[str]:
    """All that the runner is given, in order. `generations` are the topics', by name; 1 for those it lacks."""
    job, result = made.job, made.result
    tables = [catalog[name] for name in job.reads]
    sources = [
        create_source(table, endpoints.kafka, endpoints.registry, _reading(made, table), generations.get(topic_of(table), 1))
        for table in tables
    ]
    *views, query = (statement for file in job.files for statement in _split((SQL / f"{file}.sql").read_text()))
    return [
        *sources,
        *map(newest_view, tables),
        *views,
        create_sink(result, endpoints.kafka, endpoints.registry),
        insert_into(result, query, _since(made)),
    ]


def _reading(made: Making, table: Table) -> dict[str, str]:
    """Metadata is read from its beginning, whatever `begins` says: who an agent is may have been told long before."""
    options = {"properties.group.id": made.name, "properties.fetch.max.wait.ms": IDLE_FETCH_MILLISECONDS}
    if made.begins is not None and isinstance(table.source, Shards):
        milliseconds = int((made.begins - made.job.margin).replace(tzinfo=dt.UTC).timestamp() * 1000)
        options |= {"scan.startup.mode": "timestamp", "scan.startup.timestamp-millis": str(milliseconds)}
    return options


def _since(made: Making) -> str:
    column = time_column(made.result)
    if made.begins is None or column is None:
        return ""
    return f"{name(column)} >= TIMESTAMP {text(f'{made.begins:%Y-%m-%d %H:%M:%S}')}"


def settings(made: Making) -> dict[str, str]:
    job = made.job
    return {
        "pipeline.name": made.name,
        "parallelism.default": "1",
        "execution.checkpointing.interval": f"{int(job.checkpoint_seconds * 1000)} ms",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "table.exec.state.ttl": f"{round(job.state_days * 86_400)} s",
        "table.exec.source.idle-timeout": "10 s",
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.size": "1000",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
    }


def _split(text: str) -> list[str]:
    return [statement.strip() for statement in text.split(";\n") if statement.strip()]
