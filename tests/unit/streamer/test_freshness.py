"""What the badge's age is of: a tenant's view is as new as the oldest thing that it lacks."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from streamer.state import Change, Sources, State
from streamer.tenant import ACTIVITIES, AGENTS, QUEUES
from tests.unit.streamer.test_hub import agent, queue

SECOND = 1000
SOURCES = Sources({"acc_1": "main", "acc_2": "main", "acc_3": "other"})


class Told:
    """Commits in seconds, told as soon as they are made."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.state = State(lambda: self.now)
        self.state.sources(SOURCES)
        self._version = 0

    def __call__(self, table: str, tenant: int, at: float, **more: Any) -> None:
        self._version += 1
        self.now = max(self.now, at) if more.pop("passes", True) else self.now
        made: dict[str, Any] = {AGENTS: agent(1, 1, tenant=tenant, **more), QUEUES: queue(1)}
        step = {"activity_id": self._version, "state": "available", "occurred_at": dt.datetime(1970, 1, 1)}
        row = made[table].row if table in made else step
        self.state.apply(Change(table, (tenant, 1), row, self._version, int(at * SECOND), f"acc_{tenant}"))

    def all(self, tenant: int, at: float) -> None:
        for table in (ACTIVITIES, AGENTS, QUEUES):
            self(table, tenant, at)

    def data_at(self, tenant: int) -> float:
        return self.state.data_at().get(tenant, 0) / SECOND


@pytest.fixture
def told() -> Told:
    made = Told()
    made.all(1, 1000)
    made.all(2, 1000)
    return made


def test_a_quiet_tenant_is_as_fresh_as_its_server(told: Told) -> None:
    told.all(1, 1100)
    assert (told.data_at(1), told.data_at(2)) == (1100, 1100)


def test_another_server_tells_nothing_of_it(told: Told) -> None:
    told.all(3, 1000)
    told.all(1, 1100)
    assert told.data_at(3) == 1000


def test_a_tenant_of_whom_nothing_is_known_has_no_age(told: Told) -> None:
    assert told.data_at(9) == 0


@pytest.mark.parametrize("dead", [AGENTS, QUEUES])
def test_a_dead_job_shows_though_the_other_goes_on(told: Told, dead: str) -> None:
    for at in (1100, 1110, 1120):
        for table in {ACTIVITIES, AGENTS, QUEUES} - {dead}:
            told(table, 1, at)
    assert told.data_at(1) == 1100
    assert told.data_at(2) <= 1100, "nor is a quiet tenant's known to be whole"
    told(dead, 1, 1120)
    assert (told.data_at(1), told.data_at(2)) == (1120, 1120)


def test_a_result_that_catches_up_is_held_where_it_is(told: Told) -> None:
    told(ACTIVITIES, 1, 1100)
    told(ACTIVITIES, 1, 1200)
    told(AGENTS, 1, 1100, queues="[]")
    assert told.data_at(1) == 1100
    told(AGENTS, 1, 1200, queues="[]")
    assert told.data_at(1) == 1200


def test_an_agent_of_no_queue_moves_none(told: Told) -> None:
    told(AGENTS, 1, 1100, queues="[]")
    assert told.data_at(1) == 1100


def test_contacts_that_wait_move_no_agent(told: Told) -> None:
    told(QUEUES, 1, 1100)
    assert told.data_at(1) == 1100


def test_a_shard_that_is_put_aside_is_as_old_as_its_own_newest_change(told: Told) -> None:
    told.state.sources(Sources(SOURCES.servers, frozenset({"acc_2"})))
    told.all(1, 1100)
    assert (told.data_at(1), told.data_at(2)) == (1100, 1000)


def test_a_commit_from_the_future_is_as_new_as_its_arrival(told: Told) -> None:
    told(QUEUES, 1, 9000, passes=False)
    assert told.data_at(1) == 1000
    assert told.state.tenants[1].queues[1]["committed_ms"] == 1000 * SECOND


def test_what_is_read_again_makes_nothing_newer(told: Told) -> None:
    again = Change(QUEUES, (1, 1), queue(1).row, 0, 1500 * SECOND)
    told.now = 2000
    assert not told.state.apply(again)
    assert (told.data_at(1), told.state.newest_ms) == (1000, 1000 * SECOND)


def test_a_deletion_is_remembered_as_long_as_an_older_record_may_come() -> None:
    now = dt.datetime(2026, 11, 23, 12)
    state = State(lambda: (now - dt.datetime(1970, 1, 1)).total_seconds())
    state.apply(agent(1, 5))
    state.apply(Change(AGENTS, (1, 1), None, 6, 0))
    assert not state.apply(agent(1, 5))
    state.forget(now + dt.timedelta(minutes=59))
    assert not state.apply(agent(1, 5))
    state.forget(now + dt.timedelta(minutes=61))
    assert not state._versions
