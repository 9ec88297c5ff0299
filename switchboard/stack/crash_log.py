"""What a server said when it died: ``python deaths.py HOME`` is supervisord's listener, which notes each death.

The server is started again at once and goes on writing in the same log, so the end of the log is taken while it is the
dead one's. Imports nothing of ours: it runs by itself, for as long as the stack does.
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

FILE = "deaths.jsonl"
EVENTS = "PROCESS_STATE_EXITED,PROCESS_STATE_BACKOFF"
LINES = 3


@dataclass(frozen=True)
class Death:
    part: str
    at: float
    """Seconds since 1970."""
    how: str
    """``terminated by SIGKILL`` or ``exit status 1``."""
    said: str
    """The last lines of its log."""


def read(logs: Path) -> dict[str, list[Death]]:
    """Every death since the stack came up, by part, oldest first."""
    found: dict[str, list[Death]] = defaultdict(list)
    if (logs / FILE).exists():
        whole, _, _ = (logs / FILE).read_text().rpartition("\n")  # the last line may be in the writing
        for line in whole.splitlines():
            death = Death(**json.loads(line))
            found[death.part].append(death)
    return found


def listen(logs: Path, events: TextIO, answers: TextIO) -> None:
    """Speaks supervisord's listener protocol until it is closed."""
    while True:
        answers.write("READY\n")
        answers.flush()
        header = events.readline()
        if not header:
            return
        part = _tokens(events.read(int(_tokens(header)["len"])))["processname"]
        with (logs / FILE).open("a") as file:
            file.write(json.dumps(asdict(Death(part, time.time(), _how(logs, part), _end(logs / f"{part}.log", LINES)))) + "\n")
        answers.write("RESULT 2\nOK")
        answers.flush()


def _tokens(text: str) -> dict[str, str]:
    return dict(token.split(":", 1) for token in text.split())


def _how(logs: Path, part: str) -> str:
    """supervisord's own log names the signal or status, which the event does not."""
    found = re.findall(rf"exited: {re.escape(part)} \(([^;)]*)", _end(logs / "supervisord.log", 50))
    return found[-1] if found else "unknown"


def _end(log: Path, lines: int) -> str:
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_000))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


if __name__ == "__main__":
    listen(Path(sys.argv[1]), sys.stdin, sys.stdout)
