from __future__ import annotations

from connectors.backoff import Backoff
from tests.clock import ManualClock


def attempts(backoff: Backoff, clock: ManualClock, seconds: int, name: str = "a") -> list[int]:
    """The seconds, from now, in which an attempt is due."""
    due = []
    for second in range(seconds):
        if backoff.attempt(name) is not None:
            due.append(second)
        clock.now += 1
    return due


def test_pauses_double_up_to_the_longest() -> None:
    clock = ManualClock()
    assert attempts(Backoff(2, 10, 100, clock), clock, 45) == [0, 2, 6, 14, 24, 34, 44]


def test_each_name_has_its_own_pauses() -> None:
    clock = ManualClock()
    backoff = Backoff(10, 10, 100, clock)
    assert backoff.attempt("a") is not None
    assert backoff.attempt("b") is not None
    assert backoff.attempt("a") is None


def test_after_a_quiet_time_the_first_attempt_is_counted_again() -> None:
    clock = ManualClock()
    backoff = Backoff(2, 10, 100, clock)
    attempts(backoff, clock, 10)
    clock.now += 100
    again = backoff.attempt("a")
    assert again is not None
    assert (again.times, again.pause) == (1, 2)
