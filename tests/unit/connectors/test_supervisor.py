"""A failed connector is restarted with exponential back-off, unless a remediation replaces the restart."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from connectors.supervisor import ConnectorSupervisor, Failure, poll_until_stopped
from core.errors import TransientError
from tests.clock import ManualClock


class Connect:
    """Kafka Connect with one connector, which fails at every poll until `well`."""

    def __init__(self) -> None:
        self.well = False
        self.away = False
        self.restarts = 0

    def names(self) -> list[str]:
        if self.away:
            raise TransientError("Kafka Connect does not answer")
        return ["mysql-main"]

    def states(self, name: str) -> list[dict[str, Any]]:
        task = (
            {"state": "RUNNING"}
            if self.well
            else {"state": "FAILED", "trace": "Caused by: x.Broken: it broke"}
        )
        return [{"state": "RUNNING"}, task]

    def change(self, name: str, verb: str) -> None:
        assert verb == "restart"
        self.restarts += 1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def restarts_within(seconds: int, watcher: ConnectorSupervisor, connect: Connect, clock: ManualClock) -> int:
    before = connect.restarts
    for _ in range(seconds):
        watcher.poll()
        clock.now += 1
    return connect.restarts - before


def test_pauses_grow(clock: ManualClock) -> None:
    connect = Connect()
    watcher = ConnectorSupervisor(connect, clock=clock)  # type: ignore[arg-type]
    assert restarts_within(2, watcher, connect, clock) == 1
    assert restarts_within(28, watcher, connect, clock) == 3, "after 2, 6 and 14 s"


def test_one_that_ran_for_long_is_restarted_at_once_again(clock: ManualClock) -> None:
    connect = Connect()
    watcher = ConnectorSupervisor(connect, clock=clock)  # type: ignore[arg-type]
    restarts_within(30, watcher, connect, clock)
    connect.well = True
    assert restarts_within(700, watcher, connect, clock) == 0
    connect.well = False
    assert watcher.poll() == ["mysql-main"]


def test_the_remediation_receives_the_cause_and_the_count_and_may_replace_the_restart(
    clock: ManualClock,
) -> None:
    connect, failures = Connect(), []

    def remediate(failure: Failure) -> bool:
        failures.append(failure)
        return failure.times == 2

    restarts_within(3, ConnectorSupervisor(connect, remediate, clock), connect, clock)  # type: ignore[arg-type]
    assert [failure.times for failure in failures] == [1, 2]
    assert "it broke" in failures[0].trace
    assert connect.restarts == 1


def test_a_connect_that_is_away_ends_nothing(clock: ManualClock) -> None:
    connect = Connect()
    connect.away = True
    assert ConnectorSupervisor(connect, clock=clock).poll() == []  # type: ignore[arg-type]


def test_a_failing_remediation_does_not_prevent_the_restart(clock: ManualClock) -> None:
    connect = Connect()

    def remediate(failure: Failure) -> bool:
        raise TransientError("MySQL does not answer")

    assert ConnectorSupervisor(connect, remediate, clock).poll() == ["mysql-main"]  # type: ignore[arg-type]
    assert connect.restarts == 1


def test_a_poll_that_raises_stops_neither_the_others_nor_itself() -> None:
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

    poll_until_stopped((away, broken, last), stop, every=0)
    assert seen == ["away", "broken", "last"] * 2
