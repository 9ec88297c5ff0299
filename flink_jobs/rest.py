"""Flink's REST API; every answer in one line."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import requests

from core.errors import MisconfiguredError, TransientError
from core.settings import FlinkEndpoint

ENDED = ("FINISHED", "CANCELED", "FAILED")


@dataclass(frozen=True)
class JobStatus:
    """`started_ms` is since 1970."""

    id: str
    name: str
    state: str
    started_ms: int


class Flink:
    """Blocks up to 15 s a call; raises TransientError while Flink is away."""

    def __init__(self, endpoint: FlinkEndpoint) -> None:
        self._url = endpoint.url
        self._session = requests.Session()

    def jobs(self) -> list[JobStatus]:
        """Every job that the cluster remembers, newest first."""
        found = self._call("GET", "/jobs/overview")["jobs"]
        jobs = [JobStatus(item["jid"], item["name"], item["state"], item["start-time"]) for item in found]
        return sorted(jobs, key=lambda job: -job.started_ms)

    def running(self, name: str) -> JobStatus | None:
        """The job of this name that has not ended."""
        return next((job for job in self.jobs() if job.name == name and job.state not in ENDED), None)

    def cause(self, job: str) -> str:
        """Why it failed last, in one line; empty if it never did."""
        entries = self._call("GET", f"/jobs/{job}/exceptions").get("exceptionHistory", {}).get("entries", [])
        if not entries:
            return ""
        lines = [line.strip() for line in str(entries[0].get("stacktrace", "")).splitlines() if line.strip()]
        causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
        return (causes or lines or [str(entries[0].get("exceptionName", ""))])[-1 if causes else 0]

    def details(self, job: str) -> dict[str, Any]:
        return dict(self._call("GET", f"/jobs/{job}"))

    def checkpoints(self, job: str) -> dict[str, Any]:
        return dict(self._call("GET", f"/jobs/{job}/checkpoints"))

    def newest_state(self, job: str) -> str | None:
        """Where the newest checkpoint or savepoint of a job is, be it one that the cluster no longer remembers; None if there is none."""
        try:
            latest = self.checkpoints(job)["latest"]
        except MisconfiguredError:
            return self._left_behind(job)
        done = [latest[kind] for kind in ("completed", "savepoint") if latest.get(kind)]
        return str(max(done, key=lambda found: found["id"])["external_path"]) if done else self._left_behind(job)

    def _left_behind(self, job: str) -> str | None:
        """From the folder of checkpoints, where that is one of this machine."""
        config = {item["key"]: item["value"] for item in self._call("GET", "/jobmanager/config")}
        place = urlsplit(config.get("execution.checkpointing.dir", ""))
        if place.scheme not in ("", "file") or not place.path:
            return None
        done = [found.parent for found in (Path(unquote(place.path)) / job).glob("chk-*/_metadata")]
        return max(done, key=lambda found: int(found.name.removeprefix("chk-"))).as_uri() if done else None

    def unreadable(self, job: str, vertex: str) -> int:
        """How many records the vertex's sources have left out since they started."""
        path = f"/jobs/{job}/vertices/{vertex}/metrics"
        names = [metric["id"] for metric in self._call("GET", path) if metric["id"].endswith(".unreadableRecords")]
        found = self._call("GET", f"{path}?get={quote(','.join(names))}") if names else []
        return sum(int(metric["value"]) for metric in found)

    def savepoint(self, job: str, *, stop: bool, limit: float = 120) -> str:
        """Where it stands. Blocks until it is whole, `limit` seconds at most. With `stop` the job ends at it.

        Raises TransientError if it failed: Flink answers COMPLETED then, too, with a cause instead of a place.
        """
        verb, body = ("stop", {"drain": False}) if stop else ("savepoints", {"cancel-job": False})
        trigger = self._call("POST", f"/jobs/{job}/{verb}", body)["request-id"]
        deadline = time.monotonic() + limit
        while True:
            answer = self._call("GET", f"/jobs/{job}/savepoints/{trigger}")
            if answer["status"]["id"] == "COMPLETED":
                return _place(job, answer["operation"])
            if time.monotonic() > deadline:
                raise TransientError(f"the savepoint of job {job} is not done after {limit:.0f} s", "see `switchboard flink status`")
            time.sleep(0.2)

    def ask_checkpoint(self, job: str) -> None:
        """For one before its time; does not wait for it."""
        self._call("POST", f"/jobs/{job}/checkpoints", {"checkpointType": "CONFIGURED"})

    def cancel(self, job: str, limit: float = 60) -> None:
        """Blocks until it has ended."""
        self._call("PATCH", f"/jobs/{job}?mode=cancel")
        deadline = time.monotonic() + limit
        while self.details(job)["state"] not in ENDED:
            if time.monotonic() > deadline:
                raise TransientError(f"job {job} has not ended after {limit:.0f} s", "see `switchboard flink status`")
            time.sleep(0.2)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            answer = self._session.request(method, self._url + path, json=body, timeout=15)
        except requests.RequestException as error:
            raise TransientError(
                f"Flink at {self._url} does not answer", "`switchboard status`; `switchboard up --all` starts it"
            ) from error
        if answer.status_code >= 400:
            raise MisconfiguredError(f"Flink refuses {method} {path}: {_said(answer)}", "see `switchboard flink list`")
        return answer.json() if answer.content else {}


def _place(job: str, operation: dict[str, Any]) -> str:
    if "failure-cause" in operation or "location" not in operation:
        said = str(operation.get("failure-cause", {}).get("stack-trace", "no cause told")).splitlines()[0]
        raise TransientError(f"the savepoint of job {job} failed: {said}", "wait until the job runs, and try again")
    return str(operation["location"])


def _said(answer: requests.Response) -> str:
    try:
        errors = answer.json().get("errors") or [""]
    except requests.JSONDecodeError:
        errors = [answer.text]
    lines = [line.strip() for line in "\n".join(map(str, errors)).splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes[-1:] or lines[:1] or [f"status {answer.status_code}"])[0]
