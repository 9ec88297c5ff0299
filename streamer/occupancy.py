"""How long agents were on contact and how long they waited for one, between any two moments of the last day.

Occupancy = time on contact / (time on contact + time available), after-contact work being part of the contact, by the
agents' own activities. An activity that comes late takes its place in time; one that is told twice counts once.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

KINDS = {"on contact": 1, "after-contact work": 1, "available": 2}
"""All other states count for nothing."""
Spent = tuple[int, int]
"""Milliseconds on contact, and available."""


@dataclass(frozen=True)
class Step:
    """An agent comes into a state. `at` is in ms since 1970; the id orders steps of one ms."""

    at: int
    identity: int
    state: str


class Track:
    """One agent's steps in the order of time, with the sums up to each: 41 bytes a step."""

    def __init__(self) -> None:
        self._at, self._ids = array("q"), array("Q")
        self._kinds = array("B")
        self._contact, self._idle = array("q"), array("q")

    def add(self, step: Step) -> None:
        place = bisect_right(self._at, step.at)
        while place and self._at[place - 1] == step.at and self._ids[place - 1] >= step.identity:
            place -= 1
        if place < len(self._at) and (self._at[place], self._ids[place]) == (step.at, step.identity):
            return
        self._at.insert(place, step.at)
        self._ids.insert(place, step.identity)
        self._kinds.insert(place, KINDS.get(step.state, 0))
        for sums in (self._contact, self._idle):
            sums.insert(place, 0)
        for later in range(place, len(self._at)):
            self._contact[later], self._idle[later] = self._until(later - 1, self._at[later])

    def between(self, begin: int, end: int) -> Spent:
        first, last = (self._until(bisect_right(self._at, moment) - 1, moment) for moment in (begin, end))
        return last[0] - first[0], last[1] - first[1]

    def forget(self, before: int) -> None:
        """Keeps the one step that tells the state at that moment."""
        gone = bisect_right(self._at, before) - 1
        if gone > 0:
            for column in (self._at, self._ids, self._kinds, self._contact, self._idle):
                del column[:gone]

    def _until(self, place: int, moment: int) -> Spent:
        """From the first step on to the moment, which comes after the step at `place` and before the next."""
        if place < 0:
            return 0, 0
        kind, passed = self._kinds[place], moment - self._at[place]
        return self._contact[place] + passed * (kind == 1), self._idle[place] + passed * (kind == 2)


class Tracks:
    """A tenant's agents."""

    def __init__(self) -> None:
        self._tracks: dict[int, Track] = {}

    def add(self, agent: int, step: Step) -> None:
        self._tracks.setdefault(agent, Track()).add(step)

    def forget(self, before: int) -> None:
        for track in self._tracks.values():
            track.forget(before)

    def spent(self, agents: Iterable[int], begins: Sequence[int], now: int) -> dict[int, list[Spent]]:
        """Of each agent, since each of `begins`."""
        tracks = ((agent, self._tracks.get(agent)) for agent in agents)
        return {agent: [track.between(begin, now) for begin in begins] for agent, track in tracks if track is not None}


def occupancy(spent: Iterable[Spent]) -> float | None:
    """Of several agents together; None if none of them was on contact or available."""
    contact = idle = 0
    for on_contact, available in spent:
        contact, idle = contact + on_contact, idle + available
    return contact / (contact + idle) if contact + idle > 0 else None
