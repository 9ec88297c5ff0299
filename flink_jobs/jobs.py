"""A job: the tables that it reads, and the SQL of its result between rendered sources and sinks."""

from __future__ import annotations

import datetime as dt
import re
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

NAME = re.compile("[a-z][a-z0-9_]*")
SEPARATOR = re.compile(r";[ \t]*(?:\r?\n|$)")
COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)
IDLE_FETCH_MILLISECONDS = "2000"
"""How long the broker delays a fetch without records; a record that arrives is sent at once. With Kafka's
default of 500, idle topics cost brokers and jobs twice the CPU."""


@dataclass(frozen=True)
class Job:
    """A Flink job. Its result is the table whose contract names it: ``source=Computed("<name>", …)``.

    The SQL of each table that it reads is rendered: ``<table>_log`` has the change records, ``<table>`` the
    current rows. Raises MisconfiguredError for a name or a time that Flink would refuse.
    """

    name: str
    """Lower-case letters, digits and underscores: it names the Flink job and its consumer group."""
    reads: tuple[str, ...]
    """The contracts of the tables."""
    files: tuple[str, ...]
    """The parts of its SQL, in order, beside the module that defines the job. The last statement of the last
    file is the query of its result."""
    checkpoint_seconds: float
    """Exactly-once results are visible after a checkpoint; for others it is how far a restart steps back."""
    state_days: float
    """State of facts expires after this time without a change; that of dimensions does not expire."""
    margin: dt.timedelta = dt.timedelta()
    """Rows from a start time depend on records this much older: a session's log-in, a contact's segments."""
    folder: Path = Path()
    """The folder of `files`; set when the job is loaded."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise MisconfiguredError(
                f"job {self.name!r}: not a name", "use lower-case letters, digits and underscores"
            )
        if not self.reads or not self.files:
            raise MisconfiguredError(f"job {self.name!r} has no input or no SQL", "name tables and files")
        if self.checkpoint_seconds <= 0 or self.state_days <= 0 or self.margin < dt.timedelta():
            raise MisconfiguredError(
                f"job {self.name!r}: a time is negative or zero",
                "checkpoint_seconds and state_days are positive, margin is not negative",
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

    `generations` has the topics' generations, by name; 1 if absent. Raises MisconfiguredError if the job
    reads a table that is not captured, or has no query.
    """
    job, result = job_run.job, job_run.result
    tables = _inputs(job, catalog)
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
    *views, query = _parts(job)
    return [
        *sources,
        *map(newest_view, tables),
        *views,
        create_sink(result, endpoints.kafka, endpoints.registry),
        insert_into(result, query, _since(job_run)),
    ]


def _inputs(job: Job, catalog: Catalog) -> list[Table]:
    tables = [catalog[name] for name in job.reads]
    if computed := [table.name for table in tables if isinstance(table.source, Computed)]:
        raise MisconfiguredError(
            f"job {job.name!r} reads {', '.join(computed)}, which a job computes",
            "jobs read captured tables: name the SQL files of the other job's views in `files`",
        )
    return tables


def _parts(job: Job) -> list[str]:
    """Returns the statements of the job's SQL files."""
    found = [part for file in job.files for part in _split((job.folder / file).read_text("utf-8"))]
    if not found:
        raise MisconfiguredError(
            f"the SQL of job {job.name!r} has no statement", f"write its query into {job.files[-1]}"
        )
    return found


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
    """Splits at semicolons that end a line; parts with nothing but comments are left out."""
    parts = (part.strip() for part in SEPARATOR.split(text))
    return [part for part in parts if COMMENT.sub("", part).strip()]
