"""Waiting for a condition, with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.clock import Clock, monotonic

INTERVAL_SECONDS = 0.2


def wait_until(
    check: Callable[[], bool],
    limit: float,
    interval: float = INTERVAL_SECONDS,
    clock: Clock = monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Calls `check` every `interval` seconds until it holds, or `limit` seconds have passed; returns whether
    it held. It is called at least once. Blocks."""
    deadline = clock() + limit
    while not check():
        if clock() > deadline:
            return False
        sleep(interval)
    return True
