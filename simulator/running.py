"""Traffic beside what else a process does."""

from __future__ import annotations

import threading

from simulator.traffic import Traffic


class RunningTraffic:
    """Runs the traffic in a thread of its own for a block, which receives the traffic.

    The error that it ended with is in `failure`, and raised at the end of the block; `failed` is set then.
    """

    def __init__(self, traffic: Traffic, failed: threading.Event | None = None) -> None:
        self.failure: Exception | None = None
        self._traffic = traffic
        self._failed = failed or threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")

    def _run(self) -> None:
        try:
            self._traffic.run(self._stop)
        except Exception as error:
            self.failure = error
            self._failed.set()

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self._traffic

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure
