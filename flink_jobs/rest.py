"""Flink's REST API; errors are one line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import requests

from core.errors import MisconfiguredError, TransientError
from core.java_trace import root_cause
from core.settings import FlinkEndpoint
from core.waiting import wait_until

ENDED = ("FINISHED", "CANCELED", "FAILED")


@dataclass(frozen=True)
class JobStatus:
    """`started_ms` is in milliseconds since the epoch."""

    id: str
    name: str
    state: str
    started_ms: int


class Flink:
    """Each call blocks up to 15 s, and raises TransientError while Flink is unavailable."""

    def __init__(self, endpoint: FlinkEndpoint) -> None:
        self._url = endpoint.url
        self._session = requests.Session()

    def jobs(self) -> list[JobStatus]:
        """Returns every job that the cluster knows, newest first."""
        found = self._call("GET", "/jobs/overview")["jobs"]
        jobs = [JobStatus(item["jid"], item["name"], item["state"], item["start-time"]) for item in found]
        return sorted(jobs, key=lambda job: -job.started_ms)

    def running(self, name: str) -> JobStatus | None:
        """Returns the job of this name that has not ended."""
        return next((job for job in self.jobs() if job.name == name and job.state not in ENDED), None)

    def cause(self, job: str) -> str:
        """Returns the cause of its last failure, in one line; empty without one."""
        entries = self._call("GET", f"/jobs/{job}/exceptions").get("exceptionHistory", {}).get("entries", [])
        if not entries:
            return ""
        return root_cause(str(entries[0].get("stacktrace") or entries[0].get("exceptionName", "")))

    def details(self, job: str) -> dict[str, Any]:
        return dict(self._call("GET", f"/jobs/{job}"))

    def checkpoints(self, job: str) -> dict[str, Any]:
        return dict(self._call("GET", f"/jobs/{job}/checkpoints"))

    def newest_state(self, job: str) -> str | None:
        """Returns the path of a job's newest checkpoint or savepoint, even if the cluster no longer knows the
        job; None without one."""
        try:
            latest = self.checkpoints(job)["latest"]
        except MisconfiguredError:
            return self._state_on_disk(job)
        done = [latest[kind] for kind in ("completed", "savepoint") if latest.get(kind)]
        return (
            str(max(done, key=lambda found: found["id"])["external_path"])
            if done
            else self._state_on_disk(job)
        )

    def _state_on_disk(self, job: str) -> str | None:
        """Searches the checkpoint folder, if it is on this machine."""
        config = {item["key"]: item["value"] for item in self._call("GET", "/jobmanager/config")}
        url = urlsplit(config.get("execution.checkpointing.dir", ""))
        if url.scheme not in ("", "file") or not url.path:
            return None
        done = [found.parent for found in (Path(unquote(url.path)) / job).glob("chk-*/_metadata")]
        return max(done, key=lambda found: int(found.name.removeprefix("chk-"))).as_uri() if done else None

    def unreadable(self, job: str, vertex: str) -> int:
        """Returns how many records the vertex's sources have skipped since they started."""
        path = f"/jobs/{job}/vertices/{vertex}/metrics"
        names = [
            metric["id"] for metric in self._call("GET", path) if metric["id"].endswith(".unreadableRecords")
        ]
        found = self._call("GET", f"{path}?get={quote(','.join(names))}") if names else []
        return sum(int(metric["value"]) for metric in found)

    def savepoint(self, job: str, *, stop: bool, limit: float = 120) -> str:
        """Writes a savepoint and returns its path; with `stop` the job ends with it. Blocks `limit` seconds
        at most.

        Raises TransientError if it failed: Flink answers COMPLETED then too, with a cause instead of a path.
        """
        verb, body = ("stop", {"drain": False}) if stop else ("savepoints", {"cancel-job": False})
        trigger = self._call("POST", f"/jobs/{job}/{verb}", body)["request-id"]
        path = f"/jobs/{job}/savepoints/{trigger}"
        if not wait_until(lambda: self._call("GET", path)["status"]["id"] == "COMPLETED", limit):
            raise TransientError(
                f"the savepoint of job {job} is not done after {limit:.0f} s",
                "see `switchboard flink status`",
            )
        return _location(job, self._call("GET", path)["operation"])

    def trigger_checkpoint(self, job: str) -> None:
        """Requests a checkpoint; does not wait for it."""
        self._call("POST", f"/jobs/{job}/checkpoints", {"checkpointType": "CONFIGURED"})

    def cancel(self, job: str, limit: float = 60) -> None:
        """Cancels the job. Blocks until it has ended, `limit` seconds at most."""
        self._call("PATCH", f"/jobs/{job}?mode=cancel")
        if not wait_until(lambda: self.details(job)["state"] in ENDED, limit):
            raise TransientError(
                f"job {job} has not ended after {limit:.0f} s", "see `switchboard flink status`"
            )

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            answer = self._session.request(method, self._url + path, json=body, timeout=15)
        except requests.RequestException as error:
            raise TransientError(
                f"Flink at {self._url} does not answer",
                "`switchboard status`; `switchboard up --all` starts it",
            ) from error
        if answer.status_code >= 400:
            raise MisconfiguredError(
                f"Flink refuses {method} {path}: {_error_line(answer)}", "see `switchboard flink list`"
            )
        return answer.json() if answer.content else {}


def _location(job: str, operation: dict[str, Any]) -> str:
    if "failure-cause" in operation or "location" not in operation:
        cause = root_cause(operation.get("failure-cause", {}).get("stack-trace", ""))
        raise TransientError(
            f"the savepoint of job {job} failed: {cause}", "wait until the job runs, and try again"
        )
    return str(operation["location"])


def _error_line(answer: requests.Response) -> str:
    try:
        errors = answer.json().get("errors") or [""]
    except requests.JSONDecodeError:
        errors = [answer.text]
    text = "\n".join(map(str, errors)).strip()
    return root_cause(text) if text else f"status {answer.status_code}"
