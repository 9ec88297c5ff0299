"""Submits SQL to a Flink cluster, by a process in Flink's Python environment."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import PIPE
from typing import IO, Any
from urllib.parse import urlsplit

from core.errors import MisconfiguredError, TransientError
from core.settings import FlinkEndpoint, FlinkSettings

RUNNER = Path(__file__).parent / "runner.py"
FILE = Path("flink") / "client.json"
"""Under the stack's home: the Python and the environment variables of the client's process."""


Sessions = Sequence[tuple[Sequence[str], Mapping[str, str]]]
"""Statements and settings of each session; sessions are independent."""
Results = list[dict[str, Any]]


@dataclass(frozen=True)
class FlinkClient:
    python: Path
    environment: dict[str, str]
    settings: dict[str, str]

    def with_latencies(self, jobs: FlinkSettings) -> FlinkClient:
        """Returns a copy of the client that submits jobs with these latencies."""
        latencies = {
            "execution.buffer-timeout.interval": f"{jobs.buffer_timeout_milliseconds} ms",
            "table.exec.mini-batch.allow-latency": f"{jobs.mini_batch_latency_milliseconds} ms",
        }
        return replace(self, settings=self.settings | latencies)

    def run(
        self, statements: Sequence[str], settings: Mapping[str, str] | None = None, limit: float = 300
    ) -> Results:
        """Runs statements in one session and returns the result of each. Blocks until queries have returned
        their last row.

        Raises MisconfiguredError with Flink's reason if a statement fails, TransientError after `limit`
        seconds.
        """
        with self.open(limit) as runner:
            return runner.run_each([(statements, settings or {})])[0]

    @contextmanager
    def open(self, limit: float = 300) -> Iterator[Runner]:
        """Starts one process for the block, as that takes seconds; it is killed after `limit` seconds."""
        command, environment = [str(self.python), str(RUNNER)], {**os.environ, **self.environment}
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(
                command, stdin=PIPE, stdout=PIPE, stderr=errors, env=environment, text=True
            ) as process,
        ):
            runner = Runner(process, errors, self.settings, limit)
            timer = threading.Timer(limit, process.kill)
            timer.start()
            try:
                yield runner
                process.communicate()  # it ends at the end of its input
            finally:
                timer.cancel()
                process.kill()


class Runner:
    """A running client process."""

    def __init__(
        self, process: subprocess.Popen[str], errors: IO[str], settings: Mapping[str, str], limit: float
    ) -> None:
        self._process = process
        self._errors = errors
        self._settings = dict(settings)
        self._limit = limit
        self._ends = time.monotonic() + limit

    def run_each(self, sessions: Sessions) -> list[Results]:
        """Returns the result of each statement of each session; raises as `FlinkClient.run`."""
        request = [
            {"settings": {**self._settings, **settings}, "statements": list(statements)}
            for statements, settings in sessions
        ]
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the reason is raised below
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return [
            [self._answer(number) for number, _ in enumerate(statements, 1)] for statements, _ in sessions
        ]

    def _answer(self, number: int) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = next((line for line in self._process.stdout if line.startswith("{")), None)
        if line is None:
            raise self._exit_error()
        result: dict[str, Any] = json.loads(line)
        if "error" in result:
            raise MisconfiguredError(f"Flink refuses statement {number}: {result['error']}")
        return result

    def _exit_error(self) -> TransientError:
        if time.monotonic() >= self._ends:
            return TransientError(
                f"Flink's client has not answered in {self._limit:.0f} s",
                "see `switchboard logs flink-jobmanager`",
            )
        self._process.wait()
        self._errors.seek(0)
        return TransientError(
            f"Flink's client failed: {(self._errors.read().strip() or 'no message').splitlines()[-1]}"
        )


def make(python: Path, environment: Mapping[str, str], at: FlinkEndpoint) -> FlinkClient:
    """Returns a client of the cluster whose REST API is `at`."""
    address = urlsplit(at.url)
    settings = {
        "execution.target": "remote",
        "rest.address": address.hostname or "127.0.0.1",
        "rest.port": str(address.port or 80),
        "table.local-time-zone": "UTC",
    }
    return FlinkClient(python, dict(environment), settings).with_latencies(FlinkSettings())


def load(home: Path, at: FlinkEndpoint | None, jobs: FlinkSettings) -> FlinkClient:
    """Returns the client that `switchboard up --all` has set up under `home`.

    Raises MisconfiguredError if there is none.
    """
    file = home / FILE
    if at is None or not file.exists():
        raise MisconfiguredError("this stack has no Flink", "run `switchboard up --all`")
    known = json.loads(file.read_text())
    return make(Path(known["python"]), known["environment"], at).with_latencies(jobs)
