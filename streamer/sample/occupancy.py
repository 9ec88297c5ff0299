"""The time that agents spent on contacts and available, between any two moments of the last day.

Occupancy = time on contact / (time on contact + time available), computed from the agents' activities;
after-contact work counts as time on contact. A late activity is inserted at its time; a duplicate counts
once.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

KINDS = {"on contact": 1, "after-contact work": 1, "available": 2}
"""Other states do not count."""
TimeInState = tuple[int, int]
"""Milliseconds on contact, and milliseconds available."""


@dataclass(frozen=True)
class StateChange:
    """An agent enters a state. `at` is in ms since the epoch; `id` orders changes of the same ms."""

    at: int
    id: int
    state: str


class ActivityTimeline:
    """One agent's state changes ordered by time, with the sums up to each: 41 bytes for each change."""

    def __init__(self) -> None:
        self._at, self._ids = array("q"), array("Q")
        self._kinds = array("B")
        self._contact, self._idle = array("q"), array("q")

    def add(self, change: StateChange) -> None:
        index = bisect_right(self._at, change.at)
        while index and self._at[index - 1] == change.at and self._ids[index - 1] >= change.id:
            index -= 1
        if index < len(self._at) and (self._at[index], self._ids[index]) == (change.at, change.id):
            return
        self._at.insert(index, change.at)
        self._ids.insert(index, change.id)
        self._kinds.insert(index, KINDS.get(change.state, 0))
        for sums in (self._contact, self._idle):
            sums.insert(index, 0)
        for later in range(index, len(self._at)):
            self._contact[later], self._idle[later] = self._total_until(later - 1, self._at[later])

    def between(self, begin: int, end: int) -> TimeInState:
        first, last = (
            self._total_until(bisect_right(self._at, moment) - 1, moment) for moment in (begin, end)
        )
        return last[0] - first[0], last[1] - first[1]

    def forget(self, before: int) -> None:
        """Drops changes before that time, except the last, which determines the state at it."""
        gone = bisect_right(self._at, before) - 1
        if gone > 0:
            for column in (self._at, self._ids, self._kinds, self._contact, self._idle):
                del column[:gone]

    def _total_until(self, index: int, moment: int) -> TimeInState:
        """The time from the first change to `moment`, which is after the change at `index` and before the
        next."""
        if index < 0:
            return 0, 0
        kind, passed = self._kinds[index], moment - self._at[index]
        return self._contact[index] + passed * (kind == 1), self._idle[index] + passed * (kind == 2)


class AgentTimelines:
    """The activity timelines of a tenant's agents."""

    def __init__(self) -> None:
        self._timelines: dict[int, ActivityTimeline] = {}

    def add(self, agent: int, change: StateChange) -> None:
        self._timelines.setdefault(agent, ActivityTimeline()).add(change)

    def forget(self, before: int) -> None:
        for timeline in self._timelines.values():
            timeline.forget(before)

    def time_in_state(
        self, agents: Iterable[int], begins: Sequence[int], now: int
    ) -> dict[int, list[TimeInState]]:
        """Returns agent -> its time in state from each of `begins` until `now`; agents without activities are
        left out."""
        timelines = ((agent, self._timelines.get(agent)) for agent in agents)
        return {
            agent: [timeline.between(begin, now) for begin in begins]
            for agent, timeline in timelines
            if timeline is not None
        }


def occupancy(time_in_state: Iterable[TimeInState]) -> float | None:
    """Returns the occupancy of several agents together; None if none of them was on contact or available."""
    contact = idle = 0
    for on_contact, available in time_in_state:
        contact, idle = contact + on_contact, idle + available
    return contact / (contact + idle) if contact + idle > 0 else None
