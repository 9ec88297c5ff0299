"""Tables that stand still, each for a cause of its own, while the others go on.

One that waits is tried again by itself, ever more seldom; one that has stopped goes on once a person has decided something
about it (`consumers.decisions`), or when its landers are started again. Neither holds anything in memory: what was fetched of
it is fetched again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException
from sqlalchemy.exc import SQLAlchemyError

from consumers.insert import UnfitTableError
from consumers.schemas import ForgetfulRegistryError
from core.errors import StoppedError, SwitchboardError, TransientError

PASSING = (TransientError, SQLAlchemyError, KafkaException, ClickHouseError)
"""What a server causes that is away for a while."""
AT_LENGTH = (UnfitTableError, ForgetfulRegistryError)
"""What passes by itself soon, or not without a person."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 3.0


@dataclass
class _Trouble:
    since: float
    attempts: int
    until: float | None
    """When to try again; None once it has stopped."""


class Standstills:
    """By topic. Not thread-safe."""

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        """A table that stands still for one cause of `AT_LENGTH` for `patience` seconds is stopped."""
        self._patience = patience
        self._clock = clock
        self._still: dict[str, _Trouble] = {}
        self._tried: dict[str, _Trouble] = {}
        """Those that go on and have not landed anything since."""

    def __contains__(self, topic: str) -> bool:
        return topic in self._still

    def wait(self, topic: str, error: Exception) -> float:
        """The seconds until it is tried again. Raises StoppedError once no more waiting helps."""
        now = self._clock()
        trouble = self._still.get(topic) or self._tried.pop(topic, None) or _Trouble(now, 0, None)
        if isinstance(error, AT_LENGTH) and now - trouble.since > self._patience:
            raise StoppedError(error.what, error.remedy)
        seconds = min(LONGEST_WAIT, FIRST_WAIT * (1 << min(trouble.attempts, 10)))
        self._still[topic] = _Trouble(trouble.since, trouble.attempts + 1, now + seconds)
        return seconds

    def stop(self, topic: str) -> None:
        self._still[topic] = _Trouble(self._clock(), 0, None)
        self._tried.pop(topic, None)

    @property
    def stopped(self) -> set[str]:
        return {topic for topic, trouble in self._still.items() if trouble.until is None}

    def due(self) -> set[str]:
        """Those to be tried again now."""
        now = self._clock()
        return {topic for topic, trouble in self._still.items() if trouble.until is not None and trouble.until <= now}

    def decided(self, topics: Iterable[str]) -> None:
        """What a person has decided may have removed the cause: they are due, stopped or not."""
        for topic in topics:
            if topic in self._still:
                self._still[topic] = _Trouble(self._clock(), 0, self._clock())

    def keep(self, topics: Container[str]) -> None:
        """Forgets every other."""
        self._still = {topic: trouble for topic, trouble in self._still.items() if topic in topics}

    def go_on(self, topic: str) -> None:
        self._tried[topic] = self._still.pop(topic)

    def landed(self, topic: str) -> bool:
        """Whether it had been in trouble."""
        return self._tried.pop(topic, None) is not None


def said(error: Exception) -> str:
    """The error in a line."""
    return str(error if isinstance(error, SwitchboardError) else error.__cause__ or error).splitlines()[0][:500]
