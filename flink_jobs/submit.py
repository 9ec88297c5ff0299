"""Starting jobs: from where they were, from a savepoint, or anew; never on a state that does not fit."""

from __future__ import annotations

import json
import re
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import select, update

from consumers.generations import newest
from core.control import ControlDatabase
from core.control.models import JobPlan
from core.errors import MisconfiguredError, TransientError
from core.settings import Context, Endpoints, FlinkEndpoint
from flink_jobs.client import FlinkClient, Runner
from flink_jobs.jobs import Job, Making, lasting, result_of, settings, statements, topics_of
from flink_jobs.plans import Operators, differences, keep, number, operators
from flink_jobs.rest import Flink, JobStatus
from schemas.catalog import Catalog

START_SECONDS = 60.0
REMEMBERED = 20
"""So many runs of a job are looked through for a checkpoint: the newest may have ended before its first, or never begun."""
LOCK = "submit"
"""Two commands that submit at once would start a job twice."""
FIXED_ID = "$internal.pipeline.job-id"
"""Flink's setting for the id that a job is to have (PipelineOptionsInternal)."""


def endpoint_of(context: Context) -> FlinkEndpoint:
    if context.endpoints.flink is None:
        raise MisconfiguredError("there is no Flink here", "run `switchboard up --all`")
    return context.endpoints.flink


def running_job(flink: Flink, name: str) -> JobStatus:
    found = flink.running(name)
    if found is None:
        raise MisconfiguredError(f"job {name!r} does not run", "`switchboard flink list` shows what does")
    return found


@dataclass(frozen=True)
class Planned:
    """A job's compiled plan, in a file of this machine, and the place of the state that it begins with."""

    made: Making
    file: Path
    operators: Operators
    state: str | None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Chosen before Flink is asked, so that a job is known whatever becomes of whoever submits it."""


class Submitter:
    """`catalog` has each result in the generation in force. Blocks on Flink and the control database."""

    def __init__(self, endpoints: Endpoints, catalog: Catalog, client: FlinkClient, control: ControlDatabase) -> None:
        if endpoints.flink is None:
            raise MisconfiguredError("there is no Flink here", "run `switchboard up --all`")
        self._flink = Flink(endpoints.flink)
        self._endpoints = endpoints
        self._catalog = catalog
        self._client = client
        self._control = control

    def submit(self, jobs: Sequence[Job], *, fresh: bool = False) -> dict[str, str]:
        """Job -> its id, once it runs; of one that runs already, the id that it has.

        Each goes on from the newest checkpoint of its last run, if there is one, or with `fresh` begins with its topics.
        Raises MisconfiguredError if Flink refuses one, or its state does not fit, before any is started; TransientError if
        one does not run within a minute.
        """
        return self.begin([self._in_force(job) for job in jobs], fresh=fresh)

    def begin(self, makings: Sequence[Making], *, fresh: bool = False) -> dict[str, str]:
        """As `submit`, for jobs that fill any generation, by their names in Flink."""
        with self._control.alone(LOCK):
            running = {made.name: found.id for made in makings if (found := self._flink.running(made.name)) is not None}
            lacking = [made for made in makings if made.name not in running]
            return running | self._start({made: None if fresh else self._checkpoint(made.name) for made in lacking})

    def restore(self, job: Job, savepoint: str, *, unchecked: bool = False) -> str:
        """Starts the job from a savepoint; its id. Raises as `submit` does, and if the job runs."""
        made = self._in_force(job)
        _check(savepoint)
        with self._control.alone(LOCK):
            running = self._flink.running(made.name)
            if running is not None:
                raise MisconfiguredError(f"job {made.name!r} runs already, id {running.id}", f"`switchboard flink stop {made.name}` first")
            return self._start({made: savepoint}, unchecked=unchecked)[made.name]

    def misfits(self, job: Job) -> list[str]:
        """Why the state of the job that runs does not fit its SQL as it is now: a line each, none if it fits."""
        made = self._in_force(job)
        known = self._known(running_job(self._flink, made.name).id)
        if known is None:
            raise MisconfiguredError(f"job {made.name!r} was not submitted by switchboard", "its state cannot be told about")
        with tempfile.TemporaryDirectory() as folder, self._client.open() as runner:
            (planned,) = self._plan(runner, {made: None}, Path(folder))
        return differences(known, planned.operators)

    def _in_force(self, job: Job) -> Making:
        return Making(job, result_of(job, self._catalog))

    def _start(self, makings: Mapping[Making, str | None], *, unchecked: bool = False) -> dict[str, str]:
        if not makings:
            return {}
        with tempfile.TemporaryDirectory() as folder, self._client.open() as runner:
            planned = self._plan(runner, makings, Path(folder))
            for plan in planned if not unchecked else ():
                self._fits(plan)
            planned, begun = self._not_begun(planned)
            self._remember(planned)
            runner.run_each([([f"EXECUTE PLAN '{plan.file.as_uri()}'"], _begins(plan)) for plan in planned])
        for plan in planned:
            self._wait(plan.made.name, plan.id)
        return begun | {plan.made.name: plan.id for plan in planned}

    def _not_begun(self, planned: Sequence[Planned]) -> tuple[list[Planned], dict[str, str]]:
        """Planning takes seconds, and the client of a command that was killed while it submitted goes on for as long."""
        begun = {plan.made.name: found.id for plan in planned if (found := self._flink.running(plan.made.name)) is not None}
        return [plan for plan in planned if plan.made.name not in begun], begun

    def _remember(self, planned: Sequence[Planned]) -> None:
        """Before Flink is told: a job that runs and that nobody knows could neither be judged nor go on from where it was."""
        known = newest(self._control)
        with self._control.session() as session:
            for plan in planned:
                topics = {topic: known.get(topic, 1) for topic in topics_of(plan.made.job, self._catalog)}
                session.add(JobPlan(job_id=plan.id, name=plan.made.name, operators=plan.operators, topics=topics))

    def _plan(self, runner: Runner, makings: Mapping[Making, str | None], folder: Path) -> list[Planned]:
        generations = newest(self._control)
        sessions = []
        for made in makings:
            *tables, insert = statements(made, self._catalog, self._endpoints, generations)
            sessions.append(([*tables, f"COMPILE PLAN '{(folder / made.name).as_uri()}' FOR {insert}"], settings(made)))
        runner.run_each(sessions)
        return [self._planned(made, folder / made.name, state) for made, state in makings.items()]

    def _planned(self, made: Making, file: Path, state: str | None) -> Planned:
        plan = json.loads(file.read_text())
        number(plan)
        keep(plan, *lasting(made.job, self._catalog))
        file.write_text(json.dumps(plan))
        return Planned(made, file, operators(plan), state)

    def _fits(self, planned: Planned) -> None:
        if planned.state is None:
            return
        known, name = self._known(_job_of(planned.state)), planned.made.name
        if known is None:
            raise MisconfiguredError(f"nobody remembers the plan of the job that left {planned.state}", "`--unchecked` lets Flink judge")
        if lines := differences(known, planned.operators):
            raise MisconfiguredError(
                f"the SQL of job {name!r} has changed, and its state at {planned.state} does not fit: {'; '.join(lines)}",
                f"`switchboard backfill plan {planned.made.job.name}` makes its result anew beside the one in force",
            )

    def _known(self, job_id: str) -> Operators | None:
        """By the job's id or the beginning of it."""
        with self._control.session() as session:
            chosen = select(JobPlan).where(JobPlan.job_id.startswith(job_id, autoescape=True)).order_by(JobPlan.submitted_at.desc())
            found = session.scalars(chosen).first() if job_id else None
            return None if found is None else dict(found.operators)

    def _checkpoint(self, name: str) -> str | None:
        """The newest that is left of the job's last runs."""
        with self._control.session() as session:
            chosen = select(JobPlan).where(JobPlan.name == name).order_by(JobPlan.submitted_at.desc()).limit(REMEMBERED)
            runs = list(session.scalars(chosen))
        return next((place for run in runs if (place := run.stopped_at or self._flink.newest_state(run.job_id)) is not None), None)

    def _wait(self, name: str, identity: str) -> None:
        """Until every task runs."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            details = self._flink.details(identity)
            if details["state"] == "RUNNING" and all(vertex["status"] == "RUNNING" for vertex in details["vertices"]):
                return
            if details["state"] in ("FAILED", "CANCELED") or time.monotonic() > deadline:
                cause = self._flink.cause(identity)
                raise TransientError(f"job {name!r} does not run: {cause or details['state']}", "`switchboard flink status` tells more")
            time.sleep(0.2)


def stop(flink: Flink, control: ControlDatabase, name: str) -> str:
    """Ends the job of this name at a savepoint, and remembers where that is: the next submission goes on from it. Blocks."""
    running = running_job(flink, name)
    place = flink.savepoint(running.id, stop=True)
    with control.session() as session:
        session.execute(update(JobPlan).where(JobPlan.job_id == running.id).values(stopped_at=place))
    return place


def outdated(control: ControlDatabase, job_id: str) -> list[str]:
    """The topics that were made anew since the job was submitted: what it makes of them loses to what it made before."""
    with control.session() as session:
        plan = session.get(JobPlan, job_id)
    known = newest(control)
    return [] if plan is None else sorted(topic for topic, read in (plan.topics or {}).items() if known.get(topic, 1) != read)


def _begins(planned: Planned) -> dict[str, str]:
    place = {} if planned.state is None else {"execution.state-recovery.path": planned.state}
    return {**settings(planned.made), **place, FIXED_ID: planned.id}


def _job_of(state: str) -> str:
    """As much of a job's id as the place of a checkpoint or savepoint tells; empty if none."""
    found = re.search(r"/([0-9a-f]{32})/chk-", state) or re.search(r"savepoint-([0-9a-f]{6})-", state)
    return "" if found is None else found[1]


def _check(savepoint: str) -> None:
    if not _stands(savepoint):
        raise MisconfiguredError(f"{savepoint} is no savepoint", "`switchboard flink stop` and `savepoint` print where theirs are")


def _stands(savepoint: str) -> bool:
    """Of a place that is not on this machine nothing can be said."""
    place = urlsplit(savepoint)
    return place.scheme not in ("", "file") or (Path(unquote(place.path)) / "_metadata").exists()
