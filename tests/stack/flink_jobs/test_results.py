"""Each job's result equals a plain Python computation of the same formulas, on random traffic with disorder, duplicates and corrections."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from flink_jobs.jobs import JOBS
from flink_jobs.rest import Flink
from flink_jobs.submit import Submitter
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually
from tests.stack.conftest import Whole
from tests.stack.flink_jobs import reference
from tests.stack.flink_jobs.centre import Centre, utc_now


@pytest.fixture(scope="module")
def jobs(whole: Whole, pipeline: Pipeline) -> Iterator[Flink]:
    Submitter(whole.endpoints, pipeline.catalog, whole.client).submit(JOBS)
    flink = Flink(whole.flink)
    yield flink
    for running in flink.jobs():
        if running.state == "RUNNING":
            flink.cancel(running.id)


@pytest.fixture
def centre(jobs: Flink, pipeline: Pipeline, space: Space) -> Centre:
    assert jobs
    return Centre(pipeline, space)


def rows(centre: Centre, query: str) -> list[tuple[Any, ...]]:
    return centre.pipeline.landed(query.format(account=centre.account))


def status(centre: Centre) -> dict[int, tuple[Any, ...]]:
    query = "SELECT agent_id, team, name, state, since, contacts, queues FROM realtime.agent_status WHERE account_id = {account}"
    return {
        agent: (team, name, state, since, +Counter(json.loads(contacts)), set(json.loads(queues)))
        for agent, team, name, state, since, contacts, queues in rows(centre, query)
    }


def stats(centre: Centre) -> dict[int, tuple[Any, ...]]:
    columns = "waiting, oldest_waiting_since, in_service, agents_available, agents_busy, agents_offline"
    found = rows(centre, f"SELECT queue_id, {columns} FROM realtime.queue_stats WHERE account_id = {{account}}")
    return {row[0]: row[1:] for row in found}


def minutes(centre: Centre) -> dict[tuple[int, dt.datetime], tuple[int, ...]]:
    columns = "offered, answered, abandoned, short_abandons, answer_delay_ms, within_target, handled, handle_ms"
    found = rows(centre, f"SELECT queue_id, minute, {columns} FROM realtime.queue_minutes WHERE account_id = {{account}}")
    return {(row[0], row[1]): row[2:] for row in found if any(row[2:])}


def structured(centre: Centre) -> dict[int, tuple[Any, ...]]:
    columns = "state, queue_name, agent_name, team_name, wait_ms, talk_ms, hold_ms, wrap_ms, survey_score"
    found = rows(centre, f"SELECT interaction_id, {columns} FROM structured.structured_interactions WHERE account_id = {{account}}")
    return {row[0]: row[1:] for row in found}


def sessions(centre: Centre) -> dict[tuple[int, dt.datetime], tuple[Any, ...]]:
    columns = "logged_out_at, newest_at, available_ms, on_contact_ms, after_contact_work_ms, break_ms"
    found = rows(centre, f"SELECT agent_id, logged_in_at, {columns} FROM structured.agent_sessions WHERE account_id = {{account}}")
    return {(row[0], row[1]): row[2:] for row in found}


def differences(found: dict[Any, Any], wanted: dict[Any, Any]) -> dict[Any, Any]:
    return {key: (found.get(key), wanted.get(key)) for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key)}


def becomes(what: Any, centre: Centre, wanted: dict[Any, Any], within: float = 90) -> None:
    """Waits until the rows are those; shows what differs if they never are."""
    try:
        eventually(lambda: what(centre) == wanted, within)
    except AssertionError:
        raise AssertionError(f"(found, wanted): {differences(what(centre), wanted)}") from None


def test_every_result_is_the_one_of_the_formulas(centre: Centre) -> None:
    centre.work(250)
    world = centre.world()
    becomes(status, centre, reference.status(world))
    becomes(stats, centre, reference.stats(world))
    becomes(minutes, centre, reference.minutes(world))
    becomes(structured, centre, reference.structured(world))


def test_rows_that_are_read_again_count_once(centre: Centre) -> None:
    centre.work(60)
    world = centre.world()
    becomes(minutes, centre, reference.minutes(world))
    assert centre.pipeline.command("connectors", "snapshot", "interactions", "--where", f"account_id = {centre.account}").returncode == 0
    eventually(lambda: rows(centre, "SELECT countIf(_row = 0) > 0 FROM base.interactions WHERE account_id = {account}")[0][0])
    marked = centre.contact()
    eventually(lambda: marked in structured(centre))
    world = centre.world()
    becomes(minutes, centre, reference.minutes(world))
    becomes(status, centre, reference.status(world))


def test_sessions_follow_the_agents_own_times(centre: Centre) -> None:
    begin = utc_now() - dt.timedelta(seconds=3)
    agent, other = centre.agents[:2]
    for number, state in enumerate(("available", "on contact", "after-contact work", "break", "offline", "available")):
        centre.activity(agent, state, begin + dt.timedelta(milliseconds=100 * number))
    centre.activity(other, "on contact", begin + dt.timedelta(milliseconds=70))
    centre.activity(other, "available", begin + dt.timedelta(milliseconds=30))
    wanted = reference.sessions(centre.world().activities)
    assert {login for _, login in wanted} == {begin, begin + dt.timedelta(milliseconds=500), begin + dt.timedelta(milliseconds=30)}

    def pushed() -> bool:
        """Time goes on in every partition: without it no watermark tells that nothing earlier comes."""
        for _ in range(20):
            centre.activity(centre.agents[3], "available")
        found = sessions(centre)
        return {key: value for key, value in found.items() if key[0] != centre.agents[3]} == wanted

    eventually(pushed)


def test_a_contact_that_ended_before_it_began_waited_for_no_time(centre: Centre) -> None:
    before = utc_now() - dt.timedelta(hours=1)
    identity = centre.contact()
    centre.move(identity, "ringing", centre.agents[0], before)
    centre.move(identity, "talking", centre.agents[0], before)
    world = centre.world()
    becomes(minutes, centre, reference.minutes(world))
    assert sum(row[4] for row in minutes(centre).values()) == 0


def test_a_minute_of_which_nothing_is_left_goes(centre: Centre) -> None:
    started = utc_now() - dt.timedelta(hours=2)
    identity = centre.contact(started)
    becomes(minutes, centre, reference.minutes(centre.world()))
    assert len(minutes(centre)) == 1
    centre.sql("DELETE FROM interactions WHERE interaction_id = %s", identity)
    eventually(lambda: rows(centre, "SELECT count() FROM realtime.queue_minutes WHERE account_id = {account}") == [(0,)])
    eventually(lambda: structured(centre) == {})


def test_an_agent_whom_the_source_has_not_told_is_shown_without_a_name_until_it_does(centre: Centre) -> None:
    stranger = centre.account * 100 + 77
    centre.activity(stranger, "available")
    eventually(lambda: status(centre).get(stranger, (0, 0, 0))[:3] == (None, None, "available"))
    centre.agent(stranger)
    eventually(lambda: status(centre)[stranger][1] == f"Agent {stranger} 🦊")


def test_an_activity_from_the_future_counts_as_of_its_commit(centre: Centre) -> None:
    agent = centre.agents[0]
    centre.activity(agent, "break", utc_now() + dt.timedelta(days=1))
    eventually(lambda: status(centre).get(agent, (None,) * 3)[2] == "break")
    assert status(centre)[agent][3] < utc_now() + dt.timedelta(minutes=1)


def test_an_activity_that_is_an_hour_late_changes_nothing(centre: Centre) -> None:
    agent = centre.agents[0]
    centre.activity(agent, "available")
    centre.activity(agent, "break", utc_now() - dt.timedelta(hours=1))
    centre.activity(centre.agents[1], "break")
    eventually(lambda: status(centre).get(centre.agents[1], (None,) * 3)[2] == "break")
    assert status(centre)[agent][2] == "available"


def test_an_agent_who_is_deleted_goes(centre: Centre) -> None:
    agent = centre.agents[0]
    eventually(lambda: agent in status(centre))
    centre.meta("DELETE FROM agents WHERE agent_id = %s", agent)
    centre.meta("DELETE FROM queue_members WHERE agent_id = %s", agent)
    eventually(lambda: agent not in status(centre))
