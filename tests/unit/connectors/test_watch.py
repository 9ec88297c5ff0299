"""A failed connector is started again after longer and longer pauses, unless the mender has done better."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from connectors import watch
from connectors.watch import Failure, Watch, keep_looking
from core.errors import TransientError


class Connect:
    """Kafka Connect with one connector, which fails whenever it is looked at until `well`."""

    def __init__(self) -> None:
        self.well = False
        self.away = False
        self.restarts = 0

    def names(self) -> list[str]:
        if self.away:
            raise TransientError("Kafka Connect does not answer")
        return ["mysql-main"]

    def status(self, name: str) -> dict[str, Any]:
        task = {"state": "RUNNING"} if self.well else {"state": "FAILED", "trace": "Caused by: x.Broken: it broke"}
        return {"connector": {"state": "RUNNING"}, "tasks": [task]}

    def change(self, name: str, verb: str) -> None:
        assert verb == "restart"
        self.restarts += 1


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(watch, "time", made)
    return made


def restarts_within(seconds: int, watcher: Watch, connect: Connect, clock: Clock) -> int:
    before = connect.restarts
    for _ in range(seconds):
        watcher.look()
        clock.now += 1
    return connect.restarts - before


def test_pauses_grow(clock: Clock) -> None:
    connect = Connect()
    watcher = Watch(connect)  # type: ignore[arg-type]
    assert restarts_within(2, watcher, connect, clock) == 1
    assert restarts_within(28, watcher, connect, clock) == 3, "after 2, 6 and 14 s"


def test_one_that_ran_for_long_is_restarted_at_once_again(clock: Clock) -> None:
    connect = Connect()
    watcher = Watch(connect)  # type: ignore[arg-type]
    restarts_within(30, watcher, connect, clock)
    connect.well = True
    assert restarts_within(700, watcher, connect, clock) == 0
    connect.well = False
    assert watcher.look() == ["mysql-main"]


def test_the_mender_is_told_the_cause_and_how_often_and_restarts_in_the_watch_s_place(clock: Clock) -> None:
    connect, told = Connect(), []

    def mend(failure: Failure) -> bool:
        told.append(failure)
        return failure.times == 2

    restarts_within(3, Watch(connect, mend), connect, clock)  # type: ignore[arg-type]
    assert [failure.times for failure in told] == [1, 2]
    assert "it broke" in told[0].trace
    assert connect.restarts == 1


def test_a_connect_that_is_away_ends_nothing(clock: Clock) -> None:
    connect = Connect()
    connect.away = True
    assert Watch(connect).look() == []  # type: ignore[arg-type]


def test_a_mender_that_fails_keeps_no_connector_from_being_restarted(clock: Clock) -> None:
    connect = Connect()

    def mend(failure: Failure) -> bool:
        raise TransientError("MySQL does not answer")

    assert Watch(connect, mend).look() == ["mysql-main"]  # type: ignore[arg-type]
    assert connect.restarts == 1


def test_a_look_that_raises_ends_neither_the_others_nor_itself() -> None:
    stop, seen = threading.Event(), list[str]()

    def away() -> None:
        seen.append("away")
        raise TransientError("MySQL does not answer")

    def broken() -> None:
        seen.append("broken")
        raise KeyError("not foreseen")

    def last() -> None:
        seen.append("last")
        if seen.count("last") == 2:
            stop.set()

    keep_looking((away, broken, last), stop, every=0)
    assert seen == ["away", "broken", "last"] * 2
