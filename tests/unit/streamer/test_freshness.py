"""What the badge's age is of: a tenant's view is as new as the oldest thing that it lacks."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from streamer.sample.state import Change, Sources, State
from streamer.sample.tenant import ACTIVITIES, AGENTS, QUEUES
from tests.unit.streamer.test_hub import agent, queue

SECOND = 1000
SOURCES = Sources({"acc_1": "main", "acc_2": "main", "acc_3": "other"})


class Commits:
    """Commits in seconds, told as soon as they are made."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.state = State(lambda: self.now)
        self.state.set_sources(SOURCES)
        self._version = 0

    def __call__(self, table: str, tenant: int, at: float, **more: Any) -> None:
        self._version += 1
        self.now = max(self.now, at) if more.pop("passes", True) else self.now
        rows: dict[str, Any] = {AGENTS: agent(1, 1, tenant=tenant, **more), QUEUES: queue(1)}
        activity = {
            "activity_id": self._version,
            "state": "available",
            "occurred_at": dt.datetime(1970, 1, 1),
        }
        row = rows[table].row if table in rows else activity
        self.state.apply(Change(table, (tenant, 1), row, self._version, int(at * SECOND), f"acc_{tenant}"))

    def all(self, tenant: int, at: float) -> None:
        for table in (ACTIVITIES, AGENTS, QUEUES):
            self(table, tenant, at)

    def data_at(self, tenant: int) -> float:
        return self.state.data_at().get(tenant, 0) / SECOND


@pytest.fixture
def commits() -> Commits:
    rows = Commits()
    rows.all(1, 1000)
    rows.all(2, 1000)
    return rows


def test_a_quiet_tenant_is_as_fresh_as_its_server(commits: Commits) -> None:
    commits.all(1, 1100)
    assert (commits.data_at(1), commits.data_at(2)) == (1100, 1100)


def test_changes_of_another_server_do_not_make_it_fresh(commits: Commits) -> None:
    commits.all(3, 1000)
    commits.all(1, 1100)
    assert commits.data_at(3) == 1000


def test_an_unknown_tenant_has_no_age(commits: Commits) -> None:
    assert commits.data_at(9) == 0


@pytest.mark.parametrize("dead", [AGENTS, QUEUES])
def test_a_dead_job_is_visible_while_the_other_continues(commits: Commits, dead: str) -> None:
    for at in (1100, 1110, 1120):
        for table in {ACTIVITIES, AGENTS, QUEUES} - {dead}:
            commits(table, 1, at)
    assert commits.data_at(1) == 1100
    assert commits.data_at(2) <= 1100, "nor is a quiet tenant's known to be whole"
    commits(dead, 1, 1120)
    assert (commits.data_at(1), commits.data_at(2)) == (1120, 1120)


def test_a_result_that_catches_up_bounds_the_view(commits: Commits) -> None:
    commits(ACTIVITIES, 1, 1100)
    commits(ACTIVITIES, 1, 1200)
    commits(AGENTS, 1, 1100, queues="[]")
    assert commits.data_at(1) == 1100
    commits(AGENTS, 1, 1200, queues="[]")
    assert commits.data_at(1) == 1200


def test_an_agent_without_queues_changes_none(commits: Commits) -> None:
    commits(AGENTS, 1, 1100, queues="[]")
    assert commits.data_at(1) == 1100


def test_waiting_contacts_change_no_agent(commits: Commits) -> None:
    commits(QUEUES, 1, 1100)
    assert commits.data_at(1) == 1100


def test_a_quarantined_shard_is_as_old_as_its_own_newest_change(commits: Commits) -> None:
    commits.state.set_sources(Sources(SOURCES.servers, frozenset({"acc_2"})))
    commits.all(1, 1100)
    assert (commits.data_at(1), commits.data_at(2)) == (1100, 1000)


def test_a_commit_from_the_future_is_as_new_as_its_arrival(commits: Commits) -> None:
    commits(QUEUES, 1, 9000, passes=False)
    assert commits.data_at(1) == 1000
    assert commits.state.tenants[1].queues[1]["committed_ms"] == 1000 * SECOND


def test_records_that_are_read_again_change_nothing(commits: Commits) -> None:
    again = Change(QUEUES, (1, 1), queue(1).row, 0, 1500 * SECOND)
    commits.now = 2000
    assert not commits.state.apply(again)
    assert (commits.data_at(1), commits.state.newest_ms) == (1000, 1000 * SECOND)


def test_a_deletion_s_version_is_kept_while_older_records_may_come() -> None:
    now = dt.datetime(2026, 11, 23, 12)
    state = State(lambda: (now - dt.datetime(1970, 1, 1)).total_seconds())
    state.apply(agent(1, 5))
    state.apply(Change(AGENTS, (1, 1), None, 6, 0))
    assert not state.apply(agent(1, 5))
    state.forget(now + dt.timedelta(minutes=59))
    assert not state.apply(agent(1, 5))
    state.forget(now + dt.timedelta(minutes=61))
    assert not state._versions
