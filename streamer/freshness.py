"""Up to which commit a tenant's view is whole: what is shown must not look newer than what it lacks.

Each activity has to move its agent's state, and whatever moves the state of an agent who serves queues has to move these. A table that
has not told a commit which it owes holds the tenant's view at that commit, however new the other table is.
"""

from __future__ import annotations

from collections.abc import Iterable

SLACK_MS = 2000
"""Commits so close count as one: those of a clock that is ahead are known by their times of arrival alone."""


class Freshness:
    """Of one tenant; all times are commits in ms since 1970, none later than its arrival."""

    def __init__(self, shown: Iterable[str]) -> None:
        """`shown` are the tables that the view is made of."""
        self._newest = dict.fromkeys(shown, 0)
        self._wanted: dict[str, int] = {}
        self._owed: dict[str, int] = {}

    def told(self, table: str, at: int) -> None:
        """A table tells of a commit."""
        newest = self._newest[table] = max(self._newest[table], at)
        if table in self._owed:
            if self._wanted[table] > newest + SLACK_MS:
                self._owed[table] = max(self._owed[table], newest)
            else:
                del self._owed[table]

    def owes(self, table: str, at: int) -> None:
        """What was committed at that time has to come from the table, too."""
        self._wanted[table] = max(self._wanted.get(table, 0), at)
        if at > self._newest[table] + SLACK_MS:
            self._owed.setdefault(table, at)

    @property
    def whole_until(self) -> int:
        return self.held(max(self._newest.values()))

    def held(self, at: int) -> int:
        """That time, or an earlier one from which on something is owed."""
        return min(at, *self._owed.values()) if self._owed else at
