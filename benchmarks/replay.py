"""How fast a job reads: its topics replayed by a backfill, beside the job in force."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

from core.settings import Context
from flink_jobs.composition import make_backfills
from flink_jobs.jobs import Job

LIMIT_SECONDS = 900.0


@dataclass(frozen=True)
class Replay:
    """`per_core` is records a second of the TaskManager's own processor time."""

    job: str
    records: int
    seconds: float
    per_second: float
    per_core: float


def measure(context: Context, taskmanager: int, job: Job) -> Replay:
    """A lander has to run. What it makes is dropped again."""
    created = make_backfills(context)
    process, marks = psutil.Process(taskmanager), dict[str, tuple[float, float]]()
    records = 0

    def report(stage: str, done: int, total: int) -> None:
        nonlocal records
        if stage == "read its topics":
            records = total
            now = (time.monotonic(), sum(process.cpu_times()[:2]))
            marks.setdefault("begin", now)
            marks["end"] = now

    created.plan(job, None)
    try:
        created.run(job, report, LIMIT_SECONDS)
        (began, cpu), (ended, used) = marks["begin"], marks["end"]
        seconds = max(ended - began, 1e-3)
        return Replay(job.name, records, seconds, records / seconds, records / max(used - cpu, 1e-3))
    finally:
        created.drop(job)
