"""The commit up to which a tenant's view is complete: the view must not appear newer than the changes it
lacks.

Each activity changes its agent's state, and each change of an agent who serves queues changes these queues. A
result table that lacks an expected change bounds the view at that commit, however new the other table is.
"""

from __future__ import annotations

from collections.abc import Iterable

SLACK_MS = 2000
"""Commits this close count as one, as a commit time in the future is replaced by the time of arrival."""


class Freshness:
    """The freshness of one tenant.

    Times are commit times in ms since the epoch, none later than the arrival.
    """

    def __init__(self, shown: Iterable[str]) -> None:
        """`shown` are the result tables of the view."""
        self._newest = dict.fromkeys(shown, 0)
        self._expected: dict[str, int] = {}
        self._missing: dict[str, int] = {}

    def commit_seen(self, table: str, at: int) -> None:
        """A change of the table with this commit time has arrived."""
        newest = self._newest[table] = max(self._newest[table], at)
        if table in self._missing:
            if self._expected[table] > newest + SLACK_MS:
                self._missing[table] = max(self._missing[table], newest)
            else:
                del self._missing[table]

    def expect(self, table: str, at: int) -> None:
        """A change of the table with this commit time is expected."""
        self._expected[table] = max(self._expected.get(table, 0), at)
        if at > self._newest[table] + SLACK_MS:
            self._missing.setdefault(table, at)

    @property
    def complete_until(self) -> int:
        return self.bounded(max(self._newest.values()))

    def bounded(self, at: int) -> int:
        """Returns `at`, or the time of the earliest missing change if that is earlier."""
        return min(at, *self._missing.values()) if self._missing else at
