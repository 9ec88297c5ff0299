"""Starting a job, anew or from a savepoint."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from core.errors import MisconfiguredError, TransientError
from core.settings import Context, Endpoints, FlinkEndpoint
from flink_jobs.client import FlinkClient
from flink_jobs.jobs import Job, Making, result_of, settings, statements
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
    """`catalog` has each result in the generation in force; `generations` are the topics'."""

    def __init__(self, endpoints: Endpoints, catalog: Catalog, client: FlinkClient, generations: Mapping[str, int] | None = None) -> None:
        if endpoints.flink is None:
            raise MisconfiguredError("there is no Flink here", "run `switchboard up --all`")
        self._flink = Flink(endpoints.flink)
        self._endpoints = endpoints
        self._catalog = catalog
        self._client = client
        self._generations = generations or {}

    def submit(self, jobs: Sequence[Job]) -> dict[str, str]:
        """Job -> its id, once it runs; of one that runs already, the id that it has.

        Raises MisconfiguredError if Flink refuses one, TransientError if one does not run within a minute.
        """
        return self.begin([self._in_force(job) for job in jobs])

    def begin(self, makings: Sequence[Making]) -> dict[str, str]:
        """As `submit`, for jobs that fill any generation, by their names in Flink."""
        running = {made.name: found.id for made in makings if (found := self._flink.running(made.name)) is not None}
        return running | self._start([(made, settings(made)) for made in makings if made.name not in running])

    def _in_force(self, job: Job) -> Making:
        return Making(job, result_of(job, self._catalog))

    def restore(self, job: Job, savepoint: str) -> str:
        """Starts the job from a savepoint; its id. Raises as `submit` does, and if the job runs."""
        made = self._in_force(job)
        running = self._flink.running(made.name)
        if running is not None:
            raise MisconfiguredError(f"job {made.name!r} runs already, id {running.id}", f"`switchboard flink stop {made.name}` first")
        _check(savepoint)
        return self._start([(made, {**settings(made), "execution.state-recovery.path": savepoint})])[made.name]

    def _start(self, makings: Sequence[tuple[Making, Mapping[str, str]]]) -> dict[str, str]:
        if not makings:
            return {}
        sessions = [(statements(made, self._catalog, self._endpoints, self._generations), chosen) for made, chosen in makings]
        answers = self._client.run_each(sessions)
        started = {made.name: str(answer[-1]["job"]) for (made, _), answer in zip(makings, answers, strict=True)}
        for name, identity in started.items():
            self._wait(name, identity)
        return started

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


def _check(savepoint: str) -> None:
    place = urlsplit(savepoint)
    if place.scheme in ("", "file") and not (Path(unquote(place.path)) / "_metadata").exists():
        raise MisconfiguredError(f"{savepoint} is no savepoint", "`switchboard flink stop` and `savepoint` print where theirs are")
