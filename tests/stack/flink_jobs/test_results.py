"""Each job's result equals a plain Python computation of the same formulas, on random traffic with disorder, duplicates and corrections."""

from __future__ import annotations

import datetime as dt

from core.clients import mysql
from tests.pipeline import eventually
from tests.stack.flink_jobs import reference
from tests.stack.flink_jobs.centre import Centre, utc_now
from tests.stack.flink_jobs.results import becomes, minutes, rows, sessions, stats, status, structured


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


def test_a_change_of_weeks_ago_changes_no_minute(centre: Centre) -> None:
    told, late = centre.contact(), centre.contact(utc_now() - dt.timedelta(days=20))
    centre.move(late, "talking", centre.agents[0])
    world = centre.world()
    world.interactions = [row for row in world.interactions if row["interaction_id"] == told]
    eventually(lambda: late in structured(centre))
    becomes(minutes, centre, reference.minutes(world))


def test_an_interaction_has_its_agent_as_the_agent_was_when_it_started(centre: Centre) -> None:
    agent, name = centre.agents[0], f"Agent {centre.agents[0]} 🦊"
    earlier = centre.contact()
    centre.move(earlier, "ringing", agent)
    eventually(lambda: structured(centre).get(earlier, (None,) * 3)[2] == name)
    with mysql.cursor(centre.pipeline.endpoints.mysql[0], "metadata") as cursor:
        cursor.execute("START TRANSACTION")
        for changed in ("For No Time", "Married Name"):
            cursor.execute("UPDATE agents SET display_name = %s WHERE agent_id = %s", (changed, agent))
        cursor.execute("COMMIT")
    later = centre.contact()
    centre.move(later, "ringing", agent)
    eventually(lambda: {identity: row[2] for identity, row in structured(centre).items()} == {earlier: name, later: "Married Name"})


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
    centre.activity(agent, "break")
    eventually(lambda: status(centre).get(agent, (None,) * 3)[2] == "break")
    centre.meta("DELETE FROM agents WHERE agent_id = %s", agent)
    centre.meta("DELETE FROM queue_members WHERE agent_id = %s", agent)
    eventually(lambda: agent not in status(centre))
