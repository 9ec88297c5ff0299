"""The jobs: which tables each reads, and the SQL of its result, from sources and sinks rendered from the contracts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import MisconfiguredError
from core.settings import Endpoints
from schemas.catalog import Catalog
from schemas.names import topic_of
from schemas.render.flink import create_source, newest_view
from schemas.render.flink_sink import create_sink, insert_into
from schemas.table import Computed, Table

SQL = Path(__file__).parent / "sql"


@dataclass(frozen=True)
class Job:
    """`files` are the parts of its SQL in order; the last statement of the last is the query of its result."""

    name: str
    reads: tuple[str, ...]
    files: tuple[str, ...]
    checkpoint_seconds: float
    """Exactly-once results are seen when a checkpoint is done; for the others it is how far a restart steps back."""
    state_hours: int
    """What has not been touched for so long is forgotten."""


JOBS = (
    Job("agent_status", ("agents", "teams", "queue_members", "agent_activity", "interactions"), ("agents_now", "agent_status"), 10, 36),
    Job(
        "queue_stats",
        ("agents", "teams", "queues", "queue_members", "agent_activity", "interactions"),
        ("agents_now", "queue_stats"),
        10,
        36,
    ),
    Job("queue_minutes", ("queues", "interactions", "interaction_segments"), ("queue_minutes",), 10, 60),
    Job(
        "structured_interactions",
        ("accounts", "agents", "teams", "queues", "interactions", "interaction_segments", "surveys"),
        ("structured_interactions",),
        2,
        24 * 100,
    ),
    Job("agent_sessions", ("agent_activity",), ("agent_sessions",), 2, 72),
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


def statements(job: Job, catalog: Catalog, endpoints: Endpoints, generations: Mapping[str, int] | None = None) -> list[str]:
    """All that the runner is given, in order. `generations` are the topics', by name; 1 for those it lacks."""
    result = result_of(job, catalog)
    tables = [catalog[name] for name in job.reads]
    known = generations or {}
    sources = [create_source(table, endpoints.kafka, endpoints.registry, generation=known.get(topic_of(table), 1)) for table in tables]
    *views, query = (statement for file in job.files for statement in _split((SQL / f"{file}.sql").read_text()))
    return [
        *sources,
        *map(newest_view, tables),
        *views,
        create_sink(result, endpoints.kafka, endpoints.registry),
        insert_into(result, query),
    ]


def settings(job: Job) -> dict[str, str]:
    return {
        "pipeline.name": job.name,
        "parallelism.default": "1",
        "execution.checkpointing.interval": f"{int(job.checkpoint_seconds * 1000)} ms",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "table.exec.state.ttl": f"{job.state_hours} h",
        "table.exec.source.idle-timeout": "10 s",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
    }


def _split(text: str) -> list[str]:
    return [statement.strip() for statement in text.split(";\n") if statement.strip()]
