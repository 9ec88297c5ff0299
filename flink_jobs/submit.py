"""Submission of jobs: from a checkpoint, from a savepoint or fresh; never with incompatible state."""

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
from flink_jobs.compiled_plan import StateFingerprints, differences, disable_ttl, renumber, state_fingerprints
from flink_jobs.jobs import (
    Job,
    JobRun,
    result_table,
    settings,
    statements,
    topics_of,
    unbounded_state_sources,
)
from flink_jobs.rest import Flink, JobStatus
from schemas.catalog import Catalog

START_SECONDS = 60.0
MAX_RUNS = 20
"""How many runs of a job are searched for a checkpoint: the newest may have ended before its first, or never
started."""
LOCK = "submit"
"""The lock of submissions: two concurrent commands would start a job twice."""
FIXED_ID = "$internal.pipeline.job-id"
"""Flink's setting for a job's id (PipelineOptionsInternal)."""


def endpoint_of(context: Context) -> FlinkEndpoint:
    if context.endpoints.flink is None:
        raise MisconfiguredError("this stack has no Flink", "run `switchboard up --all`")
    return context.endpoints.flink


def running_job(flink: Flink, name: str) -> JobStatus:
    found = flink.running(name)
    if found is None:
        raise MisconfiguredError(f"job {name!r} does not run", "`switchboard flink list` lists the jobs")
    return found


@dataclass(frozen=True)
class Planned:
    """A job's compiled plan, in a local file, and the path of the state that it starts with."""

    job_run: JobRun
    file: Path
    state_fingerprints: StateFingerprints
    state: str | None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Chosen before submission, so that the job is known even if the submitting process is killed."""


class Submitter:
    """`catalog` has each result in its active generation. Methods block on Flink and the control database."""

    def __init__(
        self, endpoints: Endpoints, catalog: Catalog, client: FlinkClient, control: ControlDatabase
    ) -> None:
        if endpoints.flink is None:
            raise MisconfiguredError("this stack has no Flink", "run `switchboard up --all`")
        self._flink = Flink(endpoints.flink)
        self._endpoints = endpoints
        self._catalog = catalog
        self._client = client
        self._control = control

    def submit(self, jobs: Sequence[Job], *, fresh: bool = False) -> dict[str, str]:
        """Starts the jobs that do not run and returns job -> id, once all run.

        Each continues from the newest checkpoint of its last runs, if there is one; with `fresh` from the
        start of its topics. Raises MisconfiguredError if Flink refuses one or its state is incompatible,
        before any is started; TransientError if one does not run within a minute.
        """
        return self.start([self._active(job) for job in jobs], fresh=fresh)

    def start(self, job_runs: Sequence[JobRun], *, fresh: bool = False) -> dict[str, str]:
        """As `submit`, for jobs that fill any generation; the keys are their names in Flink."""
        with self._control.alone(LOCK):
            running = {
                job_run.name: found.id
                for job_run in job_runs
                if (found := self._flink.running(job_run.name)) is not None
            }
            missing = [job_run for job_run in job_runs if job_run.name not in running]
            return running | self._start(
                {job_run: None if fresh else self._checkpoint(job_run.name) for job_run in missing}
            )

    def restore(self, job: Job, savepoint: str, *, unchecked: bool = False) -> str:
        """Starts the job from a savepoint and returns its id. Raises as `submit`, and if the job runs."""
        job_run = self._active(job)
        _check(savepoint)
        with self._control.alone(LOCK):
            running = self._flink.running(job_run.name)
            if running is not None:
                raise MisconfiguredError(
                    f"job {job_run.name!r} already runs, id {running.id}",
                    f"`switchboard flink stop {job_run.name}` first",
                )
            return self._start({job_run: savepoint}, unchecked=unchecked)[job_run.name]

    def incompatibilities(self, job: Job) -> list[str]:
        """Returns why the running job's state is incompatible with its current SQL, a line each; none if it
        is compatible."""
        job_run = self._active(job)
        known = self._known(running_job(self._flink, job_run.name).id)
        if known is None:
            raise MisconfiguredError(
                f"job {job_run.name!r} was not submitted by switchboard", "its state cannot be checked"
            )
        with tempfile.TemporaryDirectory() as folder, self._client.open() as runner:
            (planned,) = self._plan(runner, {job_run: None}, Path(folder))
        return differences(known, planned.state_fingerprints)

    def _active(self, job: Job) -> JobRun:
        return JobRun(job, result_table(job, self._catalog))

    def _start(self, job_runs: Mapping[JobRun, str | None], *, unchecked: bool = False) -> dict[str, str]:
        if not job_runs:
            return {}
        with tempfile.TemporaryDirectory() as folder, self._client.open() as runner:
            planned = self._plan(runner, job_runs, Path(folder))
            for plan in planned if not unchecked else ():
                self._check_compatibility(plan)
            planned, started = self._not_started(planned)
            self._save(planned)
            runner.run_each(
                [([f"EXECUTE PLAN '{plan.file.as_uri()}'"], _run_settings(plan)) for plan in planned]
            )
        for plan in planned:
            self._wait(plan.job_run.name, plan.id)
        return started | {plan.job_run.name: plan.id for plan in planned}

    def _not_started(self, planned: Sequence[Planned]) -> tuple[list[Planned], dict[str, str]]:
        """Checks again: planning takes seconds, in which the client of a killed command may still submit a
        job."""
        started = {
            plan.job_run.name: found.id
            for plan in planned
            if (found := self._flink.running(plan.job_run.name)) is not None
        }
        return [plan for plan in planned if plan.job_run.name not in started], started

    def _save(self, planned: Sequence[Planned]) -> None:
        """Stores the plans before submission: an unknown running job could be neither checked nor
        continued."""
        known = newest(self._control)
        with self._control.session() as session:
            for plan in planned:
                topics = {topic: known.get(topic, 1) for topic in topics_of(plan.job_run.job, self._catalog)}
                session.add(
                    JobPlan(
                        job_id=plan.id,
                        name=plan.job_run.name,
                        operators=plan.state_fingerprints,
                        topics=topics,
                    )
                )

    def _plan(self, runner: Runner, job_runs: Mapping[JobRun, str | None], folder: Path) -> list[Planned]:
        generations = newest(self._control)
        sessions = []
        for job_run in job_runs:
            *tables, insert = statements(job_run, self._catalog, self._endpoints, generations)
            sessions.append(
                (
                    [*tables, f"COMPILE PLAN '{(folder / job_run.name).as_uri()}' FOR {insert}"],
                    settings(job_run),
                )
            )
        runner.run_each(sessions)
        return [self._planned(job_run, folder / job_run.name, state) for job_run, state in job_runs.items()]

    def _planned(self, job_run: JobRun, file: Path, state: str | None) -> Planned:
        plan = json.loads(file.read_text())
        renumber(plan)
        disable_ttl(plan, *unbounded_state_sources(job_run.job, self._catalog))
        file.write_text(json.dumps(plan))
        return Planned(job_run, file, state_fingerprints(plan), state)

    def _check_compatibility(self, planned: Planned) -> None:
        if planned.state is None:
            return
        known, name = self._known(_job_of(planned.state)), planned.job_run.name
        if known is None:
            raise MisconfiguredError(
                f"the plan of the job that wrote {planned.state} is not known",
                "`--unchecked` lets Flink check",
            )
        if lines := differences(known, planned.state_fingerprints):
            raise MisconfiguredError(
                f"the SQL of job {name!r} has changed, and its state at {planned.state} is incompatible: "
                f"{'; '.join(lines)}",
                f"`switchboard backfill plan {planned.job_run.job.name}` recomputes its result beside the "
                "active one",
            )

    def _known(self, job_id: str) -> StateFingerprints | None:
        """Returns the fingerprints by a job's id or its prefix."""
        with self._control.session() as session:
            chosen = (
                select(JobPlan)
                .where(JobPlan.job_id.startswith(job_id, autoescape=True))
                .order_by(JobPlan.submitted_at.desc())
            )
            found = session.scalars(chosen).first() if job_id else None
            return None if found is None else dict(found.operators)

    def _checkpoint(self, name: str) -> str | None:
        """Returns the newest existing state of the job's last runs."""
        with self._control.session() as session:
            chosen = (
                select(JobPlan)
                .where(JobPlan.name == name)
                .order_by(JobPlan.submitted_at.desc())
                .limit(MAX_RUNS)
            )
            runs = list(session.scalars(chosen))
        return next(
            (
                path
                for run in runs
                if (path := run.stopped_at or self._flink.newest_state(run.job_id)) is not None
            ),
            None,
        )

    def _wait(self, name: str, identity: str) -> None:
        """Blocks until every task runs. Raises TransientError after a minute."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            details = self._flink.details(identity)
            if details["state"] == "RUNNING" and all(
                vertex["status"] == "RUNNING" for vertex in details["vertices"]
            ):
                return
            if details["state"] in ("FAILED", "CANCELED") or time.monotonic() > deadline:
                cause = self._flink.cause(identity)
                raise TransientError(
                    f"job {name!r} does not run: {cause or details['state']}",
                    "see `switchboard flink status`",
                )
            time.sleep(0.2)


def stop(flink: Flink, control: ControlDatabase, name: str) -> str:
    """Stops the job with a savepoint and stores its path, from which the next submission continues.

    Blocks.
    """
    running = running_job(flink, name)
    path = flink.savepoint(running.id, stop=True)
    with control.session() as session:
        session.execute(update(JobPlan).where(JobPlan.job_id == running.id).values(stopped_at=path))
    return path


def outdated(control: ControlDatabase, job_id: str) -> list[str]:
    """Returns the topics that were recreated since the job was submitted: its new results would have older
    versions."""
    with control.session() as session:
        plan = session.get(JobPlan, job_id)
    known = newest(control)
    return (
        []
        if plan is None
        else sorted(topic for topic, read in (plan.topics or {}).items() if known.get(topic, 1) != read)
    )


def _run_settings(planned: Planned) -> dict[str, str]:
    path = {} if planned.state is None else {"execution.state-recovery.path": planned.state}
    return {**settings(planned.job_run), **path, FIXED_ID: planned.id}


def _job_of(state: str) -> str:
    """Returns the part of a job's id in the path of a checkpoint or savepoint; empty without one."""
    found = re.search(r"/([0-9a-f]{32})/chk-", state) or re.search(r"savepoint-([0-9a-f]{6})-", state)
    return "" if found is None else found[1]


def _check(savepoint: str) -> None:
    if not _exists(savepoint):
        raise MisconfiguredError(
            f"{savepoint} is not a savepoint", "`switchboard flink stop` and `savepoint` print paths"
        )


def _exists(savepoint: str) -> bool:
    """Whether the savepoint exists; true for one that is not on this machine."""
    url = urlsplit(savepoint)
    return url.scheme not in ("", "file") or (Path(unquote(url.path)) / "_metadata").exists()
