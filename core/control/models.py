"""Tables of the control database: state of the platform that no server stores."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, DateTime, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from core.clock import utc_now


class Base(DeclarativeBase):
    pass


class TopicGeneration(Base):
    """The generation of a topic's identity. A lander stops the table of an identity that is not here."""

    __tablename__ = "topic_generations"
    __table_args__ = (UniqueConstraint("topic", "cluster_id", "topic_id"),)

    topic: Mapped[str] = mapped_column(String(249), primary_key=True)
    generation: Mapped[int] = mapped_column(Integer, primary_key=True)
    cluster_id: Mapped[str] = mapped_column(String(64))
    topic_id: Mapped[str] = mapped_column(String(64))
    partitions: Mapped[int] = mapped_column(Integer)
    bound_at: Mapped[dt.datetime] = mapped_column(DateTime, default=utc_now)


class AppliedContract(Base):
    """The contract as last applied, by which a plan finds its changes."""

    __tablename__ = "applied_contracts"

    table_name: Mapped[str] = mapped_column(String(200), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    contract: Mapped[dict[str, Any]] = mapped_column(JSON)
    applied_at: Mapped[dt.datetime] = mapped_column(DateTime, default=utc_now, onupdate=utc_now)


class KnownSchema(Base):
    """The schema of a registry id when it first came in this generation of a topic; another meaning stops the
    table."""

    __tablename__ = "known_schemas"

    topic: Mapped[str] = mapped_column(String(249), primary_key=True)
    generation: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    schema_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    fingerprint: Mapped[str] = mapped_column(String(64))
    schema: Mapped[str] = mapped_column(Text(16_777_215))
    seen_at: Mapped[dt.datetime] = mapped_column(DateTime, default=utc_now)


class TableState(Base):
    """A condition of a table in one shard, with the reason: see `table_health`.

    `shard` is ``*`` for all shards.
    """

    __tablename__ = "table_states"

    table_name: Mapped[str] = mapped_column(String(200), primary_key=True)
    shard: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(32), primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    since: Mapped[dt.datetime] = mapped_column(DATETIME(fsp=6), default=utc_now)


class ExportWatermark(Base):
    """How far the pull connector, which does not exist yet, has read a table of a shard."""

    __tablename__ = "export_watermarks"

    table_name: Mapped[str] = mapped_column(String(200), primary_key=True)
    shard: Mapped[str] = mapped_column(String(64), primary_key=True)
    watermark: Mapped[dt.datetime | None] = mapped_column(DateTime)
    last_key: Mapped[str | None] = mapped_column(Text)
    batch_id: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    rows: Mapped[int] = mapped_column(BigInteger, default=0)
    error: Mapped[str | None] = mapped_column(Text)
    updated_at: Mapped[dt.datetime] = mapped_column(DateTime, default=utc_now, onupdate=utc_now)


class Snapshot(Base):
    """A requested snapshot of one collection (``database.table``): see `connectors.snapshot_tracker`."""

    __tablename__ = "snapshots"
    __table_args__ = (Index("ix_snapshots_server_status", "server", "status"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    server: Mapped[str] = mapped_column(String(100))
    collection: Mapped[str] = mapped_column(String(149))
    status: Mapped[str] = mapped_column(String(16))
    row_filter: Mapped[str | None] = mapped_column(Text)
    """The SQL condition of the rows to read; None: all rows."""
    after_offset: Mapped[int] = mapped_column(BigInteger)
    """Notifications before this offset are not about it."""
    last_event: Mapped[str | None] = mapped_column(String(32))
    """The kind of its last notification; None before the first."""
    scan_status: Mapped[str | None] = mapped_column(String(32))
    rows: Mapped[int | None] = mapped_column(BigInteger)
    last_key: Mapped[str] = mapped_column(Text, default="")
    maximum_key: Mapped[str] = mapped_column(Text, default="")
    paused: Mapped[bool] = mapped_column(Boolean, default=False)
    requested_at: Mapped[dt.datetime] = mapped_column(DATETIME(fsp=6), default=utc_now)
    ended_at: Mapped[dt.datetime | None] = mapped_column(DATETIME(fsp=3))


class Quarantine(Base):
    """A shard in quarantine, until `released_at`."""

    __tablename__ = "quarantines"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    server: Mapped[str] = mapped_column(String(100))
    shard: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    automatic: Mapped[bool] = mapped_column(Boolean)
    since: Mapped[dt.datetime] = mapped_column(DATETIME(fsp=6), default=utc_now)
    released_at: Mapped[dt.datetime | None] = mapped_column(DateTime)


class Cursor:
    """The offset up to which a topic of a server was read."""

    server: Mapped[str] = mapped_column(String(100), primary_key=True)
    offset: Mapped[int] = mapped_column(BigInteger)
    moved_at: Mapped[dt.datetime] = mapped_column(DateTime, default=utc_now, onupdate=utc_now)


class SchemaChangeCursor(Cursor, Base):
    """In the schema history: see `connectors.schema_changes`."""

    __tablename__ = "schema_change_cursors"


class SkippedChangeCursor(Cursor, Base):
    """In the notifications: see `connectors.skipped_changes`."""

    __tablename__ = "skipped_change_cursors"


class CapturedTables(Base):
    """The include list of a server's connector as last applied: see `connectors.capture`."""

    __tablename__ = "captured_tables"

    server: Mapped[str] = mapped_column(String(100), primary_key=True)
    include_list: Mapped[str] = mapped_column(Text(16_777_215))
    applied_at: Mapped[dt.datetime] = mapped_column(DateTime, default=utc_now, onupdate=utc_now)


class AcceptedGap(Base):
    """Expired records that landing may skip: see `consumers.gaps`."""

    __tablename__ = "accepted_gaps"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    topic: Mapped[str] = mapped_column(String(249), index=True)
    generation: Mapped[int] = mapped_column(Integer)
    offsets: Mapped[dict[str, int]] = mapped_column(JSON)
    """Partition -> committed offset at acceptance."""
    accepted_at: Mapped[dt.datetime] = mapped_column(DateTime, default=utc_now)


class VerifyResult(Base):
    """The answer of one verification of a table in a shard."""

    __tablename__ = "verify_results"
    __table_args__ = (Index("ix_verify_results_table_shard", "table_name", "shard"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    table_name: Mapped[str] = mapped_column(String(200))
    shard: Mapped[str] = mapped_column(String(64))
    answer: Mapped[str] = mapped_column(String(16))
    rows_source: Mapped[int] = mapped_column(BigInteger)
    rows_clickhouse: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(Text)
    started_at: Mapped[dt.datetime] = mapped_column(DATETIME(fsp=6))
    ended_at: Mapped[dt.datetime] = mapped_column(DateTime)


class Recorded:
    """Columns of an action that is recorded while it runs: see `runs.recorded`."""

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    status: Mapped[str] = mapped_column(String(16))
    error: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[dt.datetime] = mapped_column(DATETIME(fsp=6), default=utc_now)
    ended_at: Mapped[dt.datetime | None] = mapped_column(DateTime)


class ApplyRun(Recorded, Base):
    """One `switchboard apply`."""

    __tablename__ = "apply_runs"

    contracts: Mapped[str] = mapped_column(Text)
    """The package or folder of the contracts."""
    allowed: Mapped[list[str]] = mapped_column(JSON)
    """The approval tokens that it was given."""
    steps: Mapped[list[str]] = mapped_column(JSON)
    """The steps that it began."""


class BackfillStep(Recorded, Base):
    """One step of a backfill: `verb` is plan, run, diff, swap, revert or drop."""

    __tablename__ = "backfill_steps"

    job: Mapped[str] = mapped_column(String(200), index=True)
    verb: Mapped[str] = mapped_column(String(16))
    generation: Mapped[int | None] = mapped_column(Integer)
    start_time: Mapped[dt.datetime | None] = mapped_column(DATETIME(fsp=3))
    """Of a plan: see `ResultGeneration.start_time`."""
    days: Mapped[int | None] = mapped_column(Integer)
    """Of a diff: how many days were compared."""
    different_days: Mapped[list[str] | None] = mapped_column(JSON)
    dropped: Mapped[list[int] | None] = mapped_column(JSON)
    """Of a drop: the generations that it removed."""


class ResultGeneration(Base):
    """A generation of a computed table: see `result_versions`. The first has no row until it is dropped."""

    __tablename__ = "result_generations"

    table_name: Mapped[str] = mapped_column(String(200), primary_key=True)
    generation: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(String(16))
    start_time: Mapped[dt.datetime | None] = mapped_column(DATETIME(fsp=3))
    """Rows are recomputed from this time on, and copied from the previous generation before it; None: all are
    recomputed."""
    changed_at: Mapped[dt.datetime] = mapped_column(DATETIME(fsp=6), default=utc_now, onupdate=utc_now)


class ResultPointer(Base):
    """The active generation, which views, landers, jobs and the streamer use; a table without a row is in its
    first."""

    __tablename__ = "result_pointers"

    table_name: Mapped[str] = mapped_column(String(200), primary_key=True)
    generation: Mapped[int] = mapped_column(Integer)
    previous: Mapped[int] = mapped_column(Integer)
    moved_at: Mapped[dt.datetime] = mapped_column(DATETIME(fsp=6), default=utc_now, onupdate=utc_now)


class JobPlan(Base):
    """A job as submitted to Flink: the parts of its plan that its state depends on
    (`flink_jobs.compiled_plan`)."""

    __tablename__ = "job_plans"

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), index=True)
    operators: Mapped[dict[str, str]] = mapped_column(JSON)
    topics: Mapped[dict[str, int] | None] = mapped_column(JSON)
    """Each topic that it reads -> the generation of that topic at submission."""
    stopped_at: Mapped[str | None] = mapped_column(Text)
    """The path of the savepoint with which it was stopped."""
    submitted_at: Mapped[dt.datetime] = mapped_column(DATETIME(fsp=6), default=utc_now)
