"""The jobs: the tables that each reads, and the SQL of its result between rendered sources and sinks."""

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
"""How long the broker delays a fetch without records; a record that arrives is sent at once. With Kafka's
default of 500, idle topics cost brokers and jobs twice the CPU."""


@dataclass(frozen=True)
class Job:
    """`files` are the parts of its SQL, in order; the last statement of the last file is the query of its
    result."""

    name: str
    reads: tuple[str, ...]
    files: tuple[str, ...]
    checkpoint_seconds: float
    """Exactly-once results are visible after a checkpoint; for others it is how far a restart steps back."""
    state_days: float
    """State of contacts expires after this time without a change; that of agents and queues does not expire.
    """
    margin: dt.timedelta = dt.timedelta()
    """Rows from a start time depend on records this much older: a session's log-in, a contact's segments."""


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
    Job(
        "queue_minutes",
        ("queues", "interactions", "interaction_segments"),
        ("queue_minutes",),
        30,
        14,
        dt.timedelta(days=1),
    ),
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
    raise MisconfiguredError(
        f"there is no job {name!r}", f"the jobs are {', '.join(job.name for job in JOBS)}"
    )


def result_table(job: Job, catalog: Catalog) -> Table:
    """Returns the table that the job computes. Raises MisconfiguredError if no contract declares it."""
    for table in catalog:
        if isinstance(table.source, Computed) and table.source.job == job.name:
            return table
    raise MisconfiguredError(
        f"no contract declares a table that job {job.name!r} computes", "declare it with source=Computed(...)"
    )


@dataclass(frozen=True)
class JobRun:
    """A job that fills one generation of its result.

    With `start_time`, in UTC, only rows from that time on are computed.
    """

    job: Job
    result: Table
    start_time: dt.datetime | None = None

    @property
    def name(self) -> str:
        """The name of its Flink job and of its consumer group."""
        return self.job.name if self.result.generation == 1 else f"{self.job.name}.g{self.result.generation}"


def unbounded_state_sources(job: Job, catalog: Catalog) -> tuple[set[str], set[str]]:
    """Returns the topics of the job that grow only with the tenants, and the columns that identify their
    entities."""
    tables = [catalog[name] for name in job.reads if isinstance(catalog[name].source, Metadata)]
    named = {column for table in tables for column in (*table.key, table.tenant) if column is not None}
    return {topic_of(table) for table in tables}, named


def topics_of(job: Job, catalog: Catalog) -> list[str]:
    """Returns the topics that the job reads."""
    return [topic_of(catalog[name]) for name in job.reads]


def time_column(result: Table) -> str | None:
    """Returns the column by which rows belong to days; None for a result of the current state."""
    return None if result.clickhouse.partition_by is None else result.clickhouse.partition_by.column


def statements(
    job_run: JobRun, catalog: Catalog, endpoints: Endpoints, generations: Mapping[str, int]
) -> list[str]:
    """Returns the job's statements in order.

    `generations` has the topics' generations, by name; 1 if absent.
    """
    job, result = job_run.job, job_run.result
    tables = [catalog[name] for name in job.reads]
    sources = [
        create_source(
            table,
            endpoints.kafka,
            endpoints.registry,
            _reading(job_run, table),
            generations.get(topic_of(table), 1),
        )
        for table in tables
    ]
    *views, query = (
        statement for file in job.files for statement in _split((SQL / f"{file}.sql").read_text())
    )
    return [
        *sources,
        *map(newest_view, tables),
        *views,
        create_sink(result, endpoints.kafka, endpoints.registry),
        insert_into(result, query, _since(job_run)),
    ]


def _reading(job_run: JobRun, table: Table) -> dict[str, str]:
    """Returns the source's options.

    Metadata is always read from its beginning: an agent's record may be much older.
    """
    options = {"properties.group.id": job_run.name, "properties.fetch.max.wait.ms": IDLE_FETCH_MILLISECONDS}
    if job_run.start_time is not None and isinstance(table.source, Shards):
        milliseconds = int(
            (job_run.start_time - job_run.job.margin).replace(tzinfo=dt.UTC).timestamp() * 1000
        )
        options |= {"scan.startup.mode": "timestamp", "scan.startup.timestamp-millis": str(milliseconds)}
    return options


def _since(job_run: JobRun) -> str:
    column = time_column(job_run.result)
    if job_run.start_time is None or column is None:
        return ""
    return f"{name(column)} >= TIMESTAMP {text(f'{job_run.start_time:%Y-%m-%d %H:%M:%S}')}"


def settings(job_run: JobRun) -> dict[str, str]:
    job = job_run.job
    return {
        "pipeline.name": job_run.name,
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
