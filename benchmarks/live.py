"""All that supervisors and analysts wait for, measured on the running stack with a lander, the jobs and a
streamer of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import psutil

from benchmarks import fan_out, frames, pixels, queries, replay, state
from benchmarks.serving import command, streamer, token
from core.errors import MisconfiguredError
from core.settings import Context
from flink_jobs.composition import jobs_of, make_submitter
from schemas.catalog import load as load_catalog
from streamer.analytics import SCOPE
from streamer.local_secret import resolve_settings
from switchboard import stack

STREAMS = 1000
AGENTS = 1000
QUERY_ROWS = 4_000_000
EVENTS_RATE = 500
WARM_SECONDS = 60
"""By then the Java of Flink has compiled what it runs."""


def measure(context: Context, quick: bool, report: Callable[[str], None]) -> dict[str, Any]:
    """Needs `switchboard up --all`, applied contracts and the sample source, as `make demo` leaves them."""
    if context.endpoints.flink is None:
        raise MisconfiguredError(
            "there is no Flink here", "run `make demo SECONDS=60` once, which starts all and fills the topics"
        )
    home, catalog = context.settings.home, load_catalog(context.settings.contracts)
    report("starting a lander, the jobs and a streamer")
    jobs = list(jobs_of(context.settings))
    make_submitter(context).submit(jobs)
    found: dict[str, Any] = {}

    def keep(name: str, value: Any) -> None:
        """Told at once, too: what comes later may fail."""
        found[name] = value
        report(f"  {value}")

    with command(home, "lander", "land") as (lander, _):
        with streamer(home) as served:
            report(f"an event to the pixel, at {EVENTS_RATE} changes a second")
            bearer = token(context.settings, pixels.TENANT)
            events = 50 if quick else 300
            warm = 20 if quick else WARM_SECONDS
            samples: list[state.Sample] = []

            def weigh() -> None:
                samples.append(state.sample(context, jobs))

            seen = pixels.measure(
                served,
                lander.pid,
                bearer,
                context,
                catalog["agent_activity"],
                EVENTS_RATE,
                events,
                warm,
                weigh,
            )
            keep("pixels", asdict(seen))
            report(f"{STREAMS:,} streams")
            keep("fan_out", asdict(fan_out.measure(served, bearer, STREAMS, 10 if quick else 30)))
        report("what the jobs keep")
        weigh()
        with state.hired(context, AGENTS):
            weigh()
        keep("state", [asdict(item) for item in state.kept(*samples)])
        report(f"the page while {AGENTS:,} agents change every second")
        bearer = token(context.settings, frames.TENANT)
        keep(
            "frames",
            asdict(frames.measure(resolve_settings(context.settings), bearer, AGENTS, 5 if quick else 20)),
        )
        with streamer(home) as served:
            report("the same rows in three ways")
            table, rows = catalog["queue_minutes"], QUERY_ROWS // 10 if quick else QUERY_ROWS
            bearer = token(context.settings, queries.TENANT, SCOPE)
            keep(
                "queries",
                [
                    asdict(item)
                    for item in queries.measure(served, bearer, context.endpoints.clickhouse, table, rows)
                ],
            )
        replayed = []
        for job in jobs[:1] if quick else jobs:
            report(f"replaying the topics of {job.name}")
            replayed.append(asdict(replay.measure(context, _taskmanager(context), job)))
        keep("jobs", replayed)
    return found


def _taskmanager(context: Context) -> int:
    root = next(
        status.pid
        for status in stack.statuses(context.settings.home)
        if status.name == "flink-taskmanager" and status.pid
    )
    processes = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
    return max(processes, key=lambda process: process.memory_info().rss).pid
