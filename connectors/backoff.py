"""Exponential back-off of repeated attempts, by name."""

from __future__ import annotations

from dataclasses import dataclass

from core.clock import Clock, monotonic


@dataclass(frozen=True)
class Attempt:
    """`times` counts this attempt and the recent ones before it; the next is due `pause` seconds later."""

    at: float
    pause: float
    times: int


class Backoff:
    """Pauses grow from `first` to `longest` seconds, and start again `reset` seconds after an attempt."""

    def __init__(self, first: float, longest: float, reset: float, clock: Clock = monotonic) -> None:
        self._first = first
        self._longest = longest
        self._reset = reset
        self._clock = clock
        self._attempts: dict[str, Attempt] = {}

    def attempt(self, name: str) -> Attempt | None:
        """The attempt, if one is due: the caller makes it."""
        now, last = self._clock(), self._attempts.get(name)
        if last is None or now - last.at >= self._reset:
            due = Attempt(now, self._first, 1)
        elif now - last.at >= last.pause:
            due = Attempt(now, min(last.pause * 2, self._longest), last.times + 1)
        else:
            return None
        self._attempts[name] = due
        return due
