from __future__ import annotations

from core.waiting import wait_until


class Time:
    """Passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_condition_is_awaited_until_it_holds() -> None:
    time = Time()
    assert wait_until(lambda: time.now >= 3, limit=10, interval=1, clock=time, sleep=time.sleep)
    assert time.now == 3


def test_waiting_ends_soon_after_its_limit() -> None:
    time = Time()
    assert not wait_until(lambda: False, limit=10, interval=4, clock=time, sleep=time.sleep)
    assert time.now == 12


def test_a_condition_that_holds_is_seen_without_any_time() -> None:
    time = Time()
    assert wait_until(lambda: True, limit=-1, clock=time, sleep=time.sleep)
    assert time.now == 0
