"""Failed tasks are started again, each time after a longer pause, and the cause is logged in one line."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.rest import KafkaConnect, root_cause
from core import logging, metrics
from core.errors import SwitchboardError

FIRST_PAUSE = 2.0
LONGEST_PAUSE = 300.0
FORGIVEN_SECONDS = 600.0
"""A connector that ran for so long begins again with the first pause."""

log = logging.get("connectors")


@dataclass(frozen=True)
class Failure:
    """`trace` is Java's; `times` counts this failure and those shortly before."""

    connector: str
    trace: str
    times: int


@dataclass
class _Restarts:
    at: float
    pause: float
    times: int


def keep_looking(looks: Sequence[Callable[[], object]], stop: threading.Event, every: float) -> None:
    """Looks in turn, `every` so many seconds, until `stop`. Blocks. Whatever one of them raises ends neither it nor the others."""
    while not stop.is_set():
        for look in looks:
            try:
                look()
            except SwitchboardError as error:
                log.warning("a look failed", error=error.what)
            except Exception as error:
                log.error("a look failed, not foreseen: report it", error=str(error), trace=traceback.format_exc())
        stop.wait(every)


class Watch:
    """Looks at every connector when `look` is called; `connect` may be away.

    `mend` is asked before each restart and tells whether it has changed the connector, which restarts it too.
    """

    def __init__(self, connect: KafkaConnect, mend: Callable[[Failure], bool] = lambda failure: False) -> None:
        self._connect = connect
        self._mend = mend
        self._restarts: dict[str, _Restarts] = {}

    def look(self) -> list[str]:
        """Restarts what has failed and whose pause is over; returns their names. Blocks on Kafka Connect."""
        restarted = []
        try:
            for name in self._connect.names():
                trace = self._failure(name)
                metrics.CONNECTOR_FAILED.labels(name).set(trace is not None)
                if trace is not None and self._due(name):
                    self._restart(name, trace)
                    restarted.append(name)
        except SwitchboardError as error:
            log.warning("Kafka Connect cannot be watched", error=error.what)
        return restarted

    def _failure(self, name: str) -> str | None:
        """The trace of the first part that failed."""
        status = self._connect.status(name)
        states = [status["connector"], *status["tasks"]] if status else []
        return next((state.get("trace", "") for state in states if state["state"] == "FAILED"), None)

    def _restart(self, name: str, trace: str) -> None:
        restarts = self._restarts[name]
        log.warning("connector restarted", connector=name, cause=root_cause(trace), times=restarts.times, next_pause=restarts.pause)
        metrics.CONNECTOR_RESTARTS.labels(name).inc()
        if not self._mended(Failure(name, trace, restarts.times)):
            self._connect.change(name, "restart")

    def _mended(self, failure: Failure) -> bool:
        """A mender that cannot do its work, as when MySQL is away, keeps no connector from being restarted."""
        try:
            return self._mend(failure)
        except SwitchboardError as error:
            log.warning("the failure cannot be mended now", connector=failure.connector, error=error.what)
            return False

    def _due(self, name: str) -> bool:
        now, last = time.monotonic(), self._restarts.get(name)
        if last is None or now - last.at >= FORGIVEN_SECONDS:
            self._restarts[name] = _Restarts(now, FIRST_PAUSE, 1)
            return True
        if now - last.at < last.pause:
            return False
        self._restarts[name] = _Restarts(now, min(last.pause * 2, LONGEST_PAUSE), last.times + 1)
        return True
