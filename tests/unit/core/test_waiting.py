from __future__ import annotations

from core.waiting import wait_until
from tests.clock import ManualClock


def test_a_condition_is_awaited_until_it_holds() -> None:
    time = ManualClock(0)
    assert wait_until(lambda: time.now >= 3, limit=10, interval=1, clock=time, sleep=time.sleep)
    assert time.now == 3


def test_waiting_ends_soon_after_its_limit() -> None:
    time = ManualClock(0)
    assert not wait_until(lambda: False, limit=10, interval=4, clock=time, sleep=time.sleep)
    assert time.now == 12


def test_a_condition_that_holds_is_seen_without_any_time() -> None:
    time = ManualClock(0)
    assert wait_until(lambda: True, limit=-1, clock=time, sleep=time.sleep)
    assert time.now == 0
