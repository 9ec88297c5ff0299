"""Waits until a job has read its topics and its rows have landed."""

from __future__ import annotations

import time
from collections.abc import Callable

from consumers.consumer_lag import LagTracker
from core.errors import TransientError
from core.settings import KafkaEndpoint
from flink_jobs.jobs import JobRun, topics_of
from flink_jobs.rest import ENDED, Flink
from schemas.catalog import Catalog
from schemas.names import topic_of

MAX_CHECKPOINT_INTERVAL_SECONDS = 4.0
POLL_SECONDS = 0.25
ReportProgress = Callable[[str, int, int], None]
"""Called with the stage, how much of it is done, and its total."""


def wait_read(
    kafka: KafkaEndpoint,
    flink: Flink,
    catalog: Catalog,
    job_run: JobRun,
    identity: str,
    report: ReportProgress,
    deadline: float,
) -> None:
    """Blocks until the job `identity` has read its topics to the ends that they have now.

    `deadline` is a time of `time.monotonic`. Raises TransientError after it, or if the job ends.
    """
    lag = LagTracker(kafka, job_run.name, topics_of(job_run.job, catalog))
    interval = POLL_SECONDS
    ask_at = time.monotonic() + interval
    try:
        while remaining := lag.remaining():
            report("read its topics", lag.total - remaining, lag.total)
            state = flink.details(identity)["state"]
            if state in ENDED or time.monotonic() > deadline:
                reason = flink.cause(identity) or f"{remaining:,} records remain"
                raise TransientError(
                    f"job {job_run.name!r}, {state}, has not caught up: {reason}",
                    f"`switchboard backfill run {job_run.job.name}`",
                )
            # Flink commits the offsets that it has read with its checkpoints
            if time.monotonic() > ask_at:
                flink.trigger_checkpoint(identity)
                interval = min(2 * interval, MAX_CHECKPOINT_INTERVAL_SECONDS)
                ask_at = time.monotonic() + interval
            time.sleep(POLL_SECONDS)
        report("read its topics", lag.total, lag.total)
    finally:
        lag.close()


def wait_landed(
    kafka: KafkaEndpoint, group: str, job_run: JobRun, report: ReportProgress, deadline: float
) -> None:
    """Blocks until the landers of `group` have landed the rows that the result's topic has now. Raises as
    `wait_read`."""
    topic = topic_of(job_run.result)
    lag = LagTracker(kafka, group, [topic])
    try:
        while remaining := lag.remaining():
            report("land its rows", lag.total - remaining, lag.total)
            if time.monotonic() > deadline:
                raise TransientError(
                    f"{remaining:,} records of {topic} have not landed", "does `switchboard land` run?"
                )
            time.sleep(POLL_SECONDS)
        report("land its rows", lag.total, lag.total)
    finally:
        lag.close()
