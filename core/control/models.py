"""Tables of the control database: state of the platform that no server stores."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Integer, String, Text, UniqueConstraint
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


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


class Run(Base):
    """One run of a command that changes or verifies something."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(249))
    status: Mapped[str] = mapped_column(String(16))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    started_at: Mapped[dt.datetime] = mapped_column(DATETIME(fsp=6), default=utc_now)
    ended_at: Mapped[dt.datetime | None] = mapped_column(DateTime)


class ResultGeneration(Base):
    """A generation of a computed table: see `result_versions`. The first has no row until it is dropped."""

    __tablename__ = "result_generations"

    table_name: Mapped[str] = mapped_column(String(200), primary_key=True)
    generation: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(String(16))
    begins: Mapped[dt.datetime | None] = mapped_column(DATETIME(fsp=3))
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
