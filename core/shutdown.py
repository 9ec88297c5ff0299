"""Shutdown of long-running processes: on a signal, within a time limit.

Every process of the platform may be killed at any moment without loss, so one that still waits for a server
at the limit ends without the answer.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from core import logging

LIMIT_SECONDS = 4.5
"""Process managers send SIGKILL some time after SIGTERM; a process of ours ends within 5 s."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)
log = logging.get("process")


def stop_on_signal(limit: float = LIMIT_SECONDS) -> threading.Event:
    """SIGTERM and SIGINT set the returned event from now on, and end the process `limit` seconds later at the
    latest.

    For the main thread, once, and not beside an asyncio loop that handles signals. The event is set even
    while the main thread waits inside a C library such as librdkafka, where Python's signal handlers would
    not run before it returns.
    """
    stop = threading.Event()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    threading.Thread(target=_await_signal, args=(reading, stop, limit), name="shutdown", daemon=True).start()
    return stop


def _await_signal(reading: int, stop: threading.Event, limit: float) -> None:
    os.read(reading, 1)
    stop.set()
    end_within(limit)


def end_within(limit: float) -> None:
    """Ends the process with exit status 0 in `limit` seconds, if it has not ended by then. Does not block."""
    timer = threading.Timer(limit, _end, (limit,))
    timer.daemon = True
    timer.start()


def _end(limit: float) -> None:
    log.warning("ended without waiting for a server any longer; nothing is lost", after_seconds=limit)
    sys.stderr.flush()
    os._exit(0)
