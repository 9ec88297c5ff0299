"""Ending processes that this one has started."""

from __future__ import annotations

import subprocess
from typing import Any

GRACE_SECONDS = 30.0


def end(process: subprocess.Popen[Any], grace: float = GRACE_SECONDS) -> int:
    """Sends SIGTERM, and SIGKILL after `grace` seconds; blocks until it has ended. Returns its status."""
    process.terminate()
    try:
        return process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
