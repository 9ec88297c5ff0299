"""Records each server's crash with the end of its log: ``python crash_log.py LOGS`` is supervisord's event
listener.

The server is restarted at once and continues the same log, so the end of the log is copied before that.
Imports no other module of this project: it runs as a process of its own.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

FILE = "crashes.jsonl"
EVENTS = "PROCESS_STATE_EXITED,PROCESS_STATE_BACKOFF"
LINES = 3


@dataclass(frozen=True)
class Crash:
    service: str
    at: float
    """Seconds since the epoch."""
    exit_reason: str
    """``terminated by SIGKILL`` or ``exit status 1``."""
    log_tail: str
    """The last lines of its log."""


def read(logs: Path) -> dict[str, list[Crash]]:
    """Returns service -> its crashes since the stack was started, oldest first."""
    found: dict[str, list[Crash]] = defaultdict(list)
    if (logs / FILE).exists():
        complete, _, _ = (logs / FILE).read_text().rpartition("\n")  # the last line may be incomplete
        for line in complete.splitlines():
            crash = Crash(**json.loads(line))
            found[crash.service].append(crash)
    return found


def listen(logs: Path, events: TextIO, answers: TextIO) -> None:
    """Handles supervisord's event listener protocol until `events` is closed."""
    while True:
        answers.write("READY\n")
        answers.flush()
        header = events.readline()
        if not header:
            return
        service = _tokens(events.read(int(_tokens(header)["len"])))["processname"]
        crash = Crash(service, time.time(), _exit_reason(logs, service), _end(logs / f"{service}.log", LINES))
        with (logs / FILE).open("a") as file:
            file.write(json.dumps(asdict(crash)) + "\n")
        answers.write("RESULT 2\nOK")
        answers.flush()


def _tokens(text: str) -> dict[str, str]:
    return dict(token.split(":", 1) for token in text.split())


def _exit_reason(logs: Path, service: str) -> str:
    """Returns the signal or status from supervisord's own log, as the event lacks it."""
    found = re.findall(rf"exited: {re.escape(service)} \(([^;)]*)", _end(logs / "supervisord.log", 50))
    return found[-1] if found else "unknown"


def _end(log: Path, lines: int) -> str:
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_000))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


if __name__ == "__main__":
    listen(Path(sys.argv[1]), sys.stdin, sys.stdout)
