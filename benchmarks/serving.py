"""The streamer in a process of its own, as `switchboard stream` runs it."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import TransientError
from core.processes import end
from core.settings import Settings
from streamer.auth import mint
from streamer.local_secret import resolve_settings

START_SECONDS = 60.0


@dataclass(frozen=True)
class Served:
    page: str
    grpc: str
    pid: int


@contextmanager
def command(home: Path, name: str, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A command of ours beside us, and its log of this run."""
    log = home / "logs" / f"bench-{name}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "switchboard", *words], stdout=sink, stderr=sink, env=dict(os.environ)
        )
    try:
        yield process, log
    finally:
        end(process)


@contextmanager
def streamer(home: Path) -> Iterator[Served]:
    with command(home, "streamer", "stream", "--port", "0", "--grpc-port", "0") as (process, log):
        deadline = time.monotonic() + START_SECONDS
        while (
            line := next(
                (line for line in log.read_text().splitlines() if '"event": "serving"' in line), None
            )
        ) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise TransientError("the streamer does not start", f"see {log}")
            time.sleep(0.1)
        ready = json.loads(line)
        yield Served(ready["page"], ready["grpc"], process.pid)


def token(settings: Settings, tenant: int, scope: str = "") -> str:
    return mint(resolve_settings(settings), tenant, None, dt.timedelta(hours=1), scope=scope)
