"""Which topics are not fetched because enough of their records is in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from consumers.pending import Pending
from core import metrics
from core.settings import LandingSettings


class Backpressure:
    """A topic is paused while twice a batch of it waits; all are, while memory is full, until half of it is
    free again."""

    def __init__(self, settings: LandingSettings) -> None:
        self._settings = settings
        self._memory_full = False
        self.paused: set[str] = set()

    def update(
        self, topics: Iterable[str], waiting: Mapping[str, Pending], running: Collection[Pending]
    ) -> tuple[set[str], set[str]]:
        """Returns the topics to pause and those to resume, given what waits by topic and what is inserted."""
        limit = self._settings.memory_bytes
        in_hand = sum(pending.size for pending in (*waiting.values(), *running))
        metrics.PENDING_BYTES.set(in_hand)
        self._memory_full = in_hand >= (limit // 2 if self._memory_full else limit)
        full = (
            set(topics)
            if self._memory_full
            else {topic for topic, pending in waiting.items() if self._is_full(pending)}
        )
        pause, resume = full - self.paused, self.paused - full
        self.paused = full
        return pause, resume

    def _is_full(self, pending: Pending) -> bool:
        rows, size = 2 * self._settings.batch_rows, 2 * self._settings.batch_bytes
        return pending.topic in self.paused or pending.rows >= rows or pending.size >= size
