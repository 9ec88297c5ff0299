"""What the stack costs: setting it up, the memory of the running one, and how soon one that has data is up
again."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from rich.console import Console

from switchboard import stack
from switchboard.stack.progress import Progress

LINE = re.compile(r"^\s*(\S+) is up \(([0-9.]+) s\)", re.MULTILINE)


def memory(home: Path) -> dict[str, dict[str, float]]:
    """Part -> MB resident (with its children) and the seconds it has been running."""
    return {
        status.name: {"rss_mb": _resident(status.pid), "up_seconds": status.seconds}
        for status in stack.statuses(home)
        if status.pid
    }


def _resident(pid: int) -> float:
    root = psutil.Process(pid)
    return float(sum(process.memory_info().rss for process in [root, *root.children(recursive=True)])) / (
        1 << 20
    )


def setting_up() -> dict[str, float]:
    """Seconds to fetch every server with empty caches (`cold`), and to find all of it there (`warm`).

    Blocks on the network.
    """
    found = {}
    with tempfile.TemporaryDirectory(prefix="bench_setup_") as folder:
        environment = {**os.environ, "HOME": folder, "SWITCHBOARD_HOME": str(Path(folder) / "home")}
        for name in ("cold", "warm"):
            started = time.monotonic()
            subprocess.run(
                [sys.executable, "-m", "switchboard", "setup"],
                env=environment,
                capture_output=True,
                timeout=1800,
                check=True,
            )
            found[name] = time.monotonic() - started
    return found


def warm_start(artefacts: Path) -> dict[str, float]:
    """Part -> seconds until it answered, at the second start of a stack of its own; `all` is the whole."""
    with tempfile.TemporaryDirectory(prefix="bench_stack_") as folder:
        home = Path(folder) / "home"
        try:
            stack.up(home, Progress(Console(file=io.StringIO())), artefacts=artefacts)
            stack.down(home)
            output = io.StringIO()
            started = time.monotonic()
            stack.up(home, Progress(Console(file=output)), artefacts=artefacts)
            whole = time.monotonic() - started
        finally:
            stack.down(home)
    return {name: float(seconds) for name, seconds in LINE.findall(output.getvalue())} | {"all": whole}
