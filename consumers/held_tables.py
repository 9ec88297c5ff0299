"""Held tables: they are not landed, each for its own reason, while the others are.

A waiting table is retried with back-off. A stopped table resumes once an operator has decided about it
(`consumers.decisions`), or when its landers are restarted. Neither keeps records in memory: they are fetched
again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException
from sqlalchemy.exc import SQLAlchemyError

from consumers.clickhouse_writer import UnfitTableError
from consumers.schema_cache import RegistryStateLostError
from core.errors import StoppedError, SwitchboardError, TransientError

TRANSIENT = (TransientError, SQLAlchemyError, KafkaException, ClickHouseError)
"""What the absence of a server raises."""
RETRIED_FOR_A_TIME = (UnfitTableError, RegistryStateLostError)
"""Retried for a limited time: either it resolves itself soon, or an operator must act."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 3.0


@dataclass
class _Hold:
    since: float
    attempts: int
    until: float | None
    """When to retry; None once the table is stopped."""


class HeldTables:
    """Keyed by topic. Not thread-safe."""

    def __init__(self, retry_timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        """A table that is held for `retry_timeout` seconds for a reason of `RETRIED_FOR_A_TIME` is
        stopped."""
        self._retry_timeout = retry_timeout
        self._clock = clock
        self._held: dict[str, _Hold] = {}
        self._resumed: dict[str, _Hold] = {}
        """Resumed tables that have not landed anything since."""

    def __contains__(self, topic: str) -> bool:
        return topic in self._held

    def wait(self, topic: str, error: Exception) -> float:
        """Holds the table and returns the seconds until its next retry.

        Raises StoppedError once its time is up.
        """
        now = self._clock()
        hold = self._held.get(topic) or self._resumed.pop(topic, None) or _Hold(now, 0, None)
        if isinstance(error, RETRIED_FOR_A_TIME) and now - hold.since > self._retry_timeout:
            raise StoppedError(error.what, error.remedy)
        seconds = min(LONGEST_WAIT, FIRST_WAIT * (1 << min(hold.attempts, 10)))
        self._held[topic] = _Hold(hold.since, hold.attempts + 1, now + seconds)
        return seconds

    def stop(self, topic: str) -> None:
        self._held[topic] = _Hold(self._clock(), 0, None)
        self._resumed.pop(topic, None)

    @property
    def stopped(self) -> set[str]:
        return {topic for topic, hold in self._held.items() if hold.until is None}

    def due(self) -> set[str]:
        """Returns the tables to retry now."""
        now = self._clock()
        return {topic for topic, hold in self._held.items() if hold.until is not None and hold.until <= now}

    def retry_now(self, topics: Iterable[str]) -> None:
        """Makes these tables due, stopped or not: a decision of an operator may have removed the cause."""
        for topic in topics:
            if topic in self._held:
                self._held[topic] = _Hold(self._clock(), 0, self._clock())

    def keep(self, topics: Container[str]) -> None:
        """Forgets all other tables."""
        self._held = {topic: hold for topic, hold in self._held.items() if topic in topics}

    def resume(self, topic: str) -> None:
        self._resumed[topic] = self._held.pop(topic)

    def landed(self, topic: str) -> bool:
        """Records a success; returns whether the table had been held before."""
        return self._resumed.pop(topic, None) is not None


def error_line(error: Exception) -> str:
    """Returns the error's message as one line."""
    return str(error if isinstance(error, SwitchboardError) else error.__cause__ or error).splitlines()[0][
        :500
    ]
