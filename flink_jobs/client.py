"""Submits SQL to a Flink cluster, by a process in Flink's own environment."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.errors import MisconfiguredError, TransientError
from core.settings import FlinkEndpoint

RUNNER = Path(__file__).parent / "runner.py"
FILE = Path("flink") / "client.json"
"""Under the stack's home: which Python and which environment variables the client's process needs."""


@dataclass(frozen=True)
class FlinkClient:
    python: Path
    environment: dict[str, str]
    settings: dict[str, str]

    def run(self, statements: Sequence[str], settings: Mapping[str, str] | None = None, limit: float = 300) -> list[dict[str, Any]]:
        """The runner's answer to each statement. Blocks until queries have given their last row.

        Raises MisconfiguredError with Flink's reason if a statement fails, TransientError after `limit` seconds.
        """
        return self.run_each([(statements, settings or {})], limit)[0]

    def run_each(self, sessions: Sequence[tuple[Sequence[str], Mapping[str, str]]], limit: float = 300) -> list[list[dict[str, Any]]]:
        """As `run` for each of the sessions (statements, settings), which know nothing of each other, by one process."""
        request = [{"settings": {**self.settings, **settings}, "statements": list(statements)} for statements, settings in sessions]
        environment = {**os.environ, **self.environment}
        command = [str(self.python), str(RUNNER)]
        try:
            done = subprocess.run(
                command, input=json.dumps(request), env=environment, capture_output=True, text=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise TransientError(f"Flink's client has not answered in {limit:.0f} s", "see `switchboard logs flink-jobmanager`") from error
        answers: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode == 0:
            told = iter(answers)
            return [list(itertools.islice(told, len(statements))) for statements, _ in sessions]
        if not answers or "error" not in answers[-1]:
            raise TransientError(f"Flink's client failed: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
        raise MisconfiguredError(f"Flink refuses statement {len(answers)}: {answers[-1]['error']}")


def make(python: Path, environment: Mapping[str, str], at: FlinkEndpoint) -> FlinkClient:
    """Submits to the cluster whose REST API is `at`."""
    place = urlsplit(at.url)
    settings = {
        "execution.target": "remote",
        "rest.address": place.hostname or "127.0.0.1",
        "rest.port": str(place.port or 80),
        "table.local-time-zone": "UTC",
    }
    return FlinkClient(python, dict(environment), settings)


def load(home: Path, at: FlinkEndpoint | None) -> FlinkClient:
    """The client that `switchboard up --all` has set up under `home`. Raises MisconfiguredError if there is none."""
    file = home / FILE
    if at is None or not file.exists():
        raise MisconfiguredError("there is no Flink here", "run `switchboard up --all`")
    known = json.loads(file.read_text())
    return make(Path(known["python"]), known["environment"], at)
