"""Starting a job, anew or from a savepoint."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from core.errors import MisconfiguredError, TransientError
from core.settings import Context, Endpoints, FlinkEndpoint
from flink_jobs.client import FlinkClient
from flink_jobs.jobs import Job, settings, statements
from flink_jobs.rest import Flink, JobStatus
from schemas.catalog import Catalog

START_SECONDS = 60.0


def endpoint_of(context: Context) -> FlinkEndpoint:
    if context.endpoints.flink is None:
        raise MisconfiguredError("there is no Flink here", "run `switchboard up --all`")
    return context.endpoints.flink


def running_job(flink: Flink, name: str) -> JobStatus:
    found = flink.running(name)
    if found is None:
        raise MisconfiguredError(f"job {name!r} does not run", "`switchboard flink list` shows what does")
    return found


class Submitter:
    def __init__(self, endpoints: Endpoints, catalog: Catalog, client: FlinkClient) -> None:
        if endpoints.flink is None:
            raise MisconfiguredError("there is no Flink here", "run `switchboard up --all`")
        self._flink = Flink(endpoints.flink)
        self._endpoints = endpoints
        self._catalog = catalog
        self._client = client

    def submit(self, jobs: Sequence[Job]) -> dict[str, str]:
        """Job -> its id, once it runs; of one that runs already, the id that it has.

        Raises MisconfiguredError if Flink refuses one, TransientError if one does not run within a minute.
        """
        running = {job.name: found.id for job in jobs if (found := self._flink.running(job.name)) is not None}
        return running | self._start([(job, settings(job)) for job in jobs if job.name not in running])

    def restore(self, job: Job, savepoint: str) -> str:
        """Starts the job from a savepoint; its id. Raises as `submit` does, and if the job runs."""
        running = self._flink.running(job.name)
        if running is not None:
            raise MisconfiguredError(f"job {job.name!r} runs already, id {running.id}", f"`switchboard flink stop {job.name}` first")
        _check(savepoint)
        return self._start([(job, {**settings(job), "execution.state-recovery.path": savepoint})])[job.name]

    def _start(self, jobs: Sequence[tuple[Job, Mapping[str, str]]]) -> dict[str, str]:
        if not jobs:
            return {}
        answers = self._client.run_each([(statements(job, self._catalog, self._endpoints), chosen) for job, chosen in jobs])
        started = {job.name: str(answer[-1]["job"]) for (job, _), answer in zip(jobs, answers, strict=True)}
        for job, _ in jobs:
            self._wait(job, started[job.name])
        return started

    def _wait(self, job: Job, identity: str) -> None:
        """Until every task runs."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            details = self._flink.details(identity)
            if details["state"] == "RUNNING" and all(vertex["status"] == "RUNNING" for vertex in details["vertices"]):
                return
            if details["state"] in ("FAILED", "CANCELED") or time.monotonic() > deadline:
                cause = self._flink.cause(identity)
                raise TransientError(f"job {job.name!r} does not run: {cause or details['state']}", "`switchboard flink status` tells more")
            time.sleep(0.2)


def _check(savepoint: str) -> None:
    place = urlsplit(savepoint)
    if place.scheme in ("", "file") and not (Path(unquote(place.path)) / "_metadata").exists():
        raise MisconfiguredError(f"{savepoint} is no savepoint", "`switchboard flink stop` and `savepoint` print where theirs are")
