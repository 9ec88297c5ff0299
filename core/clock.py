"""The clocks, injected wherever time decides something, so that tests control it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

Clock = Callable[[], float]
EPOCH = dt.datetime.fromtimestamp(0, dt.UTC).replace(tzinfo=None)
"""In UTC, without a time zone."""

system: Clock = time.time
"""Seconds since the epoch."""
monotonic: Clock = time.monotonic
"""Seconds since any moment; it never goes back."""


def utc_now(clock: Clock = system) -> dt.datetime:
    """Returns the time in UTC, without a time zone, as the databases store it."""
    return dt.datetime.fromtimestamp(clock(), dt.UTC).replace(tzinfo=None)
