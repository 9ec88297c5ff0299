"""Backfills: the next generation of a job's result, planned, run beside the active one, compared, and swapped
in by one pointer.

Every step is idempotent and resumed by repeating it: the control database has the state of each generation,
and a step creates only what does not exist.
"""

from __future__ import annotations

import datetime as dt
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from clickhouse_connect.driver.client import Client

from consumers.consumer_lag import horizon
from core.clients import clickhouse
from core.control import ControlDatabase
from core.control.models import BackfillStep
from core.control.result_versions import (
    DROPPED,
    PLANNED,
    READY,
    RUNNING,
    Generation,
    activate,
    active_version,
    active_versions,
    generations,
    save,
)
from core.control.runs import recorded
from core.errors import MisconfiguredError
from core.settings import Endpoints, Settings
from flink_jobs import compare, generation_storage
from flink_jobs.catch_up import ReportProgress, wait_landed, wait_read
from flink_jobs.client import FlinkClient
from flink_jobs.jobs import Job, JobRun, result_table, time_column
from flink_jobs.rest import Flink
from flink_jobs.submit import Submitter
from schemas.catalog import Catalog
from schemas.names import topic_of
from schemas.render.clickhouse import create_current_view
from schemas.table import Shards, Table

LANDING_SECONDS = 120.0


@dataclass(frozen=True)
class GenerationStatus:
    """A generation of a result. `job` is Flink's state of the job that fills it; `start_time` is in UTC."""

    generation: int
    state: str
    start_time: dt.datetime | None
    active: bool
    job: str


class Backfills:
    """Its methods block on every server.

    `contracts` are as declared; the active generations are in the control database.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        settings: Settings,
        contracts: Catalog,
        control: ControlDatabase,
        client: FlinkClient,
    ) -> None:
        if endpoints.flink is None:
            raise MisconfiguredError("this stack has no Flink", "run `switchboard up --all`")
        self._endpoints = endpoints
        self._settings = settings
        self._contracts = contracts
        self._control = control
        self._flink = Flink(endpoints.flink)
        self._client = client

    def status(self, job: Job) -> list[GenerationStatus]:
        """Returns every generation that is not dropped."""
        result = result_table(job, self._contracts)
        live, known = active_version(self._control, result.name).generation, self._known(result)
        states = {status.name: status.state for status in reversed(self._flink.jobs())}
        return [
            GenerationStatus(
                found.number,
                found.state,
                found.start_time,
                found.number == live,
                states.get(self._job_run(job, found).name, ""),
            )
            for found in known
            if found.state != DROPPED
        ]

    def plan(self, job: Job, start_time: dt.datetime | None) -> Generation:
        """Stores the next generation for `run`. `start_time` is in UTC, in whole seconds: older rows are
        copied.

        Raises MisconfiguredError while another generation exists beside the active one, and if the topics no
        longer have all records that are needed.
        """
        result = result_table(job, self._contracts)
        if start_time is not None and time_column(result) is None:
            raise MisconfiguredError(
                f"rows of {result.name!r} have no time", "omit --from: its topics are short"
            )
        if time_column(result) is not None:
            self._check_topics_reach(job, start_time)
        other = self._other(result)
        if other is not None and other.state != PLANNED:
            raise MisconfiguredError(
                f"generation {other.number} of {result.name!r} exists beside the active one",
                f"`switchboard backfill swap {job.name}` activates it, `switchboard backfill drop "
                f"{job.name}` removes it",
            )
        number = other.number if other is not None else max(found.number for found in self._known(result)) + 1
        planned = Generation(result.name, number, PLANNED, start_time)
        with self._recorded(job, "plan", generation=number, start_time=start_time):
            save(self._control, planned)
        return planned

    def _check_topics_reach(self, job: Job, start_time: dt.datetime | None) -> None:
        """Rows that can neither be computed, as their records have expired, nor be copied, would be missing
        after the swap."""
        tables = [self._contracts[name] for name in job.reads]
        earliest = horizon(
            self._endpoints.kafka, [topic_of(table) for table in tables if isinstance(table.source, Shards)]
        )
        if earliest is None or (start_time is not None and start_time - job.margin >= earliest):
            return
        least = (earliest + job.margin + dt.timedelta(seconds=1)).replace(microsecond=0)
        raise MisconfiguredError(
            f"the topics that {job.name!r} reads have only records since {earliest:%Y-%m-%d %H:%M:%S} UTC",
            f"`--from {least.isoformat()}`, or later: older rows are copied from the active generation",
        )

    def run(self, job: Job, report: ReportProgress, limit: float) -> Generation:
        """Creates the planned generation and blocks, `limit` seconds at most, until it has caught up and
        landed.

        Raises MisconfiguredError if none is planned, TransientError if it takes longer or its job fails; it
        can be repeated.
        """
        result = result_table(job, self._contracts)
        found = self._other(result)
        if found is None:
            raise MisconfiguredError(
                f"no backfill of {job.name!r} is planned", f"`switchboard backfill plan {job.name}` plans one"
            )
        with self._recorded(job, "run", generation=found.number):
            return self._run(job, found, report, limit)

    def _run(self, job: Job, found: Generation, report: ReportProgress, limit: float) -> Generation:
        job_run = self._job_run(job, found)
        if found.state == PLANNED:
            report("create its topic and table", 0, 1)
            live = self._at(job_run.result, active_version(self._control, job_run.result.name).generation)
            generation_storage.create(self._endpoints, self._settings.topics, self._control, job_run, live)
            found = replace(found, state=RUNNING)
            save(self._control, found)
        report("start its job", 0, 1)
        catalog = self._contracts.with_generations(active_versions(self._control))
        identity = Submitter(self._endpoints, catalog, self._client, self._control).start([job_run])[
            job_run.name
        ]
        deadline = time.monotonic() + limit
        kafka = self._endpoints.kafka
        wait_read(kafka, self._flink, self._contracts, job_run, identity, report, deadline)
        landing_deadline = min(deadline, time.monotonic() + LANDING_SECONDS)
        wait_landed(kafka, self._settings.landing.group, job_run, report, landing_deadline)
        found = replace(found, state=READY)
        save(self._control, found)
        return found

    def diff(self, job: Job, rest_seconds: float) -> list[compare.Day]:
        """Compares the active generation with the other one, for each day since its start time.

        See `compare.days`.
        """
        result, found = self._ready(job)
        live = self._at(result, active_version(self._control, result.name).generation)
        with self._recorded(job, "diff", generation=found.number) as step:
            compared = compare.days(
                self._clickhouse(), live, self._at(result, found.number), found.start_time, rest_seconds
            )
            step.days = len(compared)
            step.different_days = [f"{day.day}" for day in compared if not day.same]
        return compared

    def swap(self, job: Job) -> int:
        """Activates the newest generation and returns its number. Both jobs continue, so that `revert` leaves
        no gap.

        If it is active already, the view is updated, as after an interrupted swap.
        """
        result = result_table(job, self._contracts)
        at, newest = active_version(self._control, result.name), self._existing(result)[-1]
        if at.generation != newest.number:
            self._check_running(job, self._ready(job)[1])
        elif at.generation == at.previous:
            self._ready(job)  # raises that there is none
        return self._activate(job, result, newest.number, "swap")

    def revert(self, job: Job) -> int:
        """Activates the generation before the last swap again and returns its number.

        Repeated, it updates the view.
        """
        result = result_table(job, self._contracts)
        at = active_version(self._control, result.name)
        if at.previous > at.generation:
            return self._activate(job, result, at.generation, "revert")
        earlier = next(
            (found for found in self._existing(result) if found.number == at.previous != at.generation), None
        )
        if earlier is None or earlier.state != READY:
            raise MisconfiguredError(
                f"{result.name!r} has no earlier generation to revert to",
                "`switchboard backfill status` lists generations",
            )
        self._check_running(job, earlier)
        return self._activate(job, result, earlier.number, "revert")

    def _check_running(self, job: Job, found: Generation) -> None:
        """Raises MisconfiguredError if the generation's job does not run: its rows would be outdated."""
        name = self._job_run(job, found).name
        running = self._flink.running(name)
        if running is None or running.state != "RUNNING":
            state = "does not run" if running is None else f"is {running.state}"
            start = f"backfill run {job.name}" if found.number > 1 else f"flink submit {job.name}"
            raise MisconfiguredError(
                f"job {name!r} {state}", f"`switchboard {start}` starts it, and it catches up"
            )

    def update_view(self, job: Job) -> None:
        """Recreates the view on the active generation. Idempotent."""
        result = result_table(job, self._contracts)
        live = self._at(result, active_version(self._control, result.name).generation)
        self._clickhouse().command(create_current_view(live))

    def drop(self, job: Job) -> list[int]:
        """Cancels the jobs of inactive generations, removes their tables and topics, and returns their
        numbers."""
        result = result_table(job, self._contracts)
        with self._recorded(job, "drop") as step:
            other = self._other(result)
            if other is not None:
                save(self._control, replace(other, state=DROPPED))
            dropped = [found for found in self._known(result) if found.state == DROPPED]
            removed = [found.number for found in dropped if self._remove(self._job_run(job, found))]
            step.dropped = removed
        return removed

    def _activate(self, job: Job, result: Table, number: int, verb: str) -> int:
        with self._recorded(job, verb, generation=number):
            activate(self._control, result.name, number)
            self.update_view(job)
        return number

    def _remove(self, job_run: JobRun) -> bool:
        """Removes what exists of it; returns whether anything did."""
        running = self._flink.running(job_run.name)
        if running is not None:
            self._flink.cancel(running.id)
        return generation_storage.remove(self._endpoints, job_run) or running is not None

    def _ready(self, job: Job) -> tuple[Table, Generation]:
        result = result_table(job, self._contracts)
        found = self._other(result)
        if found is None or found.state != READY:
            raise MisconfiguredError(
                f"no inactive generation of {result.name!r} has caught up",
                f"`switchboard backfill plan {job.name}`, then `switchboard backfill run {job.name}`",
            )
        return result, found

    def _other(self, result: Table) -> Generation | None:
        """Returns the generation that is neither active nor dropped."""
        live = active_version(self._control, result.name).generation
        return next((found for found in self._existing(result) if found.number != live), None)

    def _existing(self, result: Table) -> list[Generation]:
        """Returns those that are not dropped, oldest first: one or two."""
        return sorted(
            (found for found in self._known(result) if found.state != DROPPED), key=lambda found: found.number
        )

    def _known(self, result: Table) -> list[Generation]:
        """Returns all generations, with the first, which has no row until it is dropped."""
        known = {found.number: found for found in generations(self._control, result.name)}
        return list(({1: Generation(result.name, 1, READY, None)} | known).values())

    def _job_run(self, job: Job, found: Generation) -> JobRun:
        return JobRun(job, self._at(result_table(job, self._contracts), found.number), found.start_time)

    @staticmethod
    def _at(result: Table, number: int) -> Table:
        return replace(result, generation=number)

    def _clickhouse(self) -> Client:
        return clickhouse.connect(self._endpoints.clickhouse)

    def _recorded(
        self, job: Job, verb: str, generation: int | None = None, start_time: dt.datetime | None = None
    ) -> AbstractContextManager[BackfillStep]:
        step = BackfillStep(job=job.name, verb=verb, generation=generation, start_time=start_time)
        return recorded(self._control, step)
