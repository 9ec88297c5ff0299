"""Restarts failed connectors and tasks with exponential back-off, and logs the root cause in one line."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.backoff import Attempt, Backoff
from connectors.rest import KafkaConnect
from core import logging, metrics
from core.clock import Clock, monotonic
from core.errors import SwitchboardError
from core.java_trace import root_cause

FIRST_PAUSE = 2.0
MAX_PAUSE = 300.0
RESET_SECONDS = 600.0
"""A connector that ran this long starts again with the first pause."""

log = logging.get("connectors")


@dataclass(frozen=True)
class Failure:
    """`trace` is the Java stack trace; `times` counts this failure and the recent ones before it."""

    connector: str
    trace: str
    times: int


def poll_until_stopped(polls: Sequence[Callable[[], object]], stop: threading.Event, every: float) -> None:
    """Calls the polls in turn, every `every` seconds, until `stop` is set. Blocks.

    An exception of one is logged and stops none.
    """
    while not stop.is_set():
        for poll in polls:
            try:
                poll()
            except SwitchboardError as error:
                log.warning("a poll failed", error=error.what)
            except Exception as error:
                log.error(
                    "a poll failed unexpectedly: report it", error=str(error), trace=traceback.format_exc()
                )
        stop.wait(every)


class ConnectorSupervisor:
    """Checks every connector on each `poll`; tolerates that Connect is unavailable.

    `remediate` is called before each restart and returns whether it changed the connector's config, which
    restarts the connector too.
    """

    def __init__(
        self,
        connect: KafkaConnect,
        remediate: Callable[[Failure], bool] = lambda _: False,
        clock: Clock = monotonic,
    ) -> None:
        self._connect = connect
        self._remediate = remediate
        self._backoff = Backoff(FIRST_PAUSE, MAX_PAUSE, RESET_SECONDS, clock)

    def poll(self) -> list[str]:
        """Restarts the failed connectors whose pause is over; returns their names.

        Blocks for Kafka Connect.
        """
        restarted = []
        try:
            for name in self._connect.names():
                trace = self._failure(name)
                metrics.CONNECTOR_FAILED.labels(name).set(trace is not None)
                if trace is not None and (attempt := self._backoff.attempt(name)) is not None:
                    self._restart(name, trace, attempt)
                    restarted.append(name)
        except SwitchboardError as error:
            log.warning("Kafka Connect is unavailable", error=error.what)
        return restarted

    def _failure(self, name: str) -> str | None:
        """The trace of the first failed part: the connector or a task."""
        states = self._connect.states(name)
        return next((state.get("trace", "") for state in states if state["state"] == "FAILED"), None)

    def _restart(self, name: str, trace: str, attempt: Attempt) -> None:
        log.warning(
            "connector restarted",
            connector=name,
            cause=root_cause(trace),
            times=attempt.times,
            next_pause=attempt.pause,
        )
        metrics.CONNECTOR_RESTARTS.labels(name).inc()
        if not self._remediated(Failure(name, trace, attempt.times)):
            self._connect.change(name, "restart")

    def _remediated(self, failure: Failure) -> bool:
        """A remediation that fails, as it does while MySQL is unavailable, does not prevent the restart."""
        try:
            return self._remediate(failure)
        except SwitchboardError as error:
            log.warning("the failure cannot be remediated now", connector=failure.connector, error=error.what)
            return False
