"""Each job's result equals a plain Python computation of the same formulas, on random traffic with disorder,
duplicates and corrections."""

from __future__ import annotations

import datetime as dt

from connectors.snapshot_tracker import SnapshotTracker
from core.clients import mysql
from tests.pipeline import eventually
from tests.stack.consumers.test_landing import unlogged
from tests.stack.flink_jobs import reference
from tests.stack.flink_jobs.centre import Centre, utc_now
from tests.stack.flink_jobs.results import (
    becomes,
    minutes,
    rows,
    sessions,
    stats,
    status,
    status_of,
    structured,
)

OF_SHARDS = ("interactions", "interaction_segments", "surveys", "agent_activity")
OF_METADATA = ("accounts", "agents", "teams", "queues", "queue_members")
DAY = dt.timedelta(days=1)


def agree(centre: Centre) -> None:
    """Every result with the formulas, column by column."""
    world = centre.world()
    becomes(status, centre, reference.status(world))
    becomes(stats, centre, reference.stats(world))
    becomes(minutes, centre, reference.minutes(world))
    becomes(sessions, centre, reference.sessions(world.activities))
    becomes(structured, centre, reference.structured(world))


def read_again(centre: Centre, *tables: str, where: str = "TRUE") -> None:
    """Asks for it; the rows come beside what goes on."""
    pipeline = centre.pipeline
    collections = [f"{'metadata' if table in OF_METADATA else centre.shard}.{table}" for table in tables]
    SnapshotTracker(pipeline.endpoints, pipeline.control).request(
        pipeline.endpoints.mysql[0].name, collections, f"account_id = {centre.account} AND {where}"
    )


def comes_again(centre: Centre, table: str, condition: str = "1") -> None:
    eventually(
        lambda: (
            rows(
                centre,
                f"SELECT countIf(_row = 0) > 0 FROM base.{table} WHERE account_id = {{account}} AND "
                f"{condition}",
            )
            == [(True,)]
        )
    )


def test_every_result_is_the_one_of_the_formulas(centre: Centre) -> None:
    centre.work(100)
    centre.reorganise()
    read_again(centre, *OF_SHARDS, *OF_METADATA)
    centre.work(60)
    centre.stray()
    for table in OF_SHARDS:
        comes_again(centre, table)
    centre.reorganise()
    centre.work(60)
    agree(centre)


def test_what_verify_takes_away_goes_from_the_results(centre: Centre) -> None:
    centre.work(40)
    ringing, closed = centre.contact(), centre.contact()
    centre.move(ringing, "ringing", centre.agents[0])
    centre.move(closed, "abandoned", None)
    last = centre.activity(centre.agents[1], "break")
    agree(centre)
    unlogged(
        centre.pipeline,
        centre.shard,
        f"DELETE FROM interactions WHERE interaction_id IN ({ringing}, {closed})",
        f"DELETE FROM agent_activity WHERE activity_id = {last}",
        f"DELETE FROM agent_activity WHERE agent_id = {centre.agents[2]}",
        "DELETE FROM interaction_segments LIMIT 1",
    )
    centre.pipeline.command("verify", "interactions", "interaction_segments", "agent_activity", "--repair")
    agree(centre)


def test_sessions_follow_what_comes_late_is_corrected_and_is_loaded(centre: Centre) -> None:
    begin, (agent, other, loaded, _) = utc_now() - 2 * DAY, centre.agents
    reported = [centre.activity(other, "on contact", begin + dt.timedelta(milliseconds=70))]
    for number, state in enumerate(
        ("available", "on contact", "after-contact work", "break", "offline", "available")
    ):
        reported.append(centre.activity(agent, state, begin + number * DAY / 4))  # over midnight
    reported.append(centre.activity(other, "available", begin + dt.timedelta(milliseconds=30)))
    wanted = reference.sessions(centre.world().activities)
    assert {login for _, login in wanted} == {
        begin,
        begin + 1.25 * DAY,
        begin + dt.timedelta(milliseconds=30),
    }
    becomes(sessions, centre, wanted)  # nothing else happens anywhere that time would go on by
    centre.sql("DELETE FROM agent_activity WHERE activity_id = %s", reported[1])
    centre.sql("UPDATE agent_activity SET state = 'break' WHERE activity_id = %s", reported[5])
    centre.sql("UPDATE agent_activity SET agent_id = %s WHERE activity_id = %s", other, reported[3])
    becomes(sessions, centre, reference.sessions(centre.world().activities))
    states = ("available", "on contact", "offline", "available", "offline")
    values = [
        (centre.identity(), state, utc_now() - 60 * DAY + number * DAY / 3)
        for number, state in enumerate(states)
    ]
    listed = ", ".join(
        f"({identity}, {centre.account}, {loaded}, '{state}', NULL, '{at}')" for identity, state, at in values
    )
    unlogged(centre.pipeline, centre.shard, f"INSERT INTO agent_activity VALUES {listed}")
    read_again(centre, "agent_activity")
    becomes(sessions, centre, reference.sessions(centre.world().activities))


def test_a_minute_of_which_nothing_is_left_counts_nothing(centre: Centre) -> None:
    """It is told of, and does not just go: a job that starts again and finds it empty has to tell so."""
    from_queue, to_queue = centre.queues
    moved, deleted = (centre.contact(utc_now() - dt.timedelta(hours=hours), from_queue) for hours in (2, 3))
    becomes(minutes, centre, reference.minutes(centre.world()))
    centre.sql("UPDATE interactions SET queue_id = %s WHERE interaction_id = %s", to_queue, moved)
    centre.sql("DELETE FROM interactions WHERE interaction_id = %s", deleted)
    becomes(minutes, centre, reference.minutes(centre.world()))
    empty = (
        "SELECT offered FROM realtime.queue_minutes WHERE account_id = {account} AND queue_id = "
        f"{from_queue}"
    )
    assert rows(centre, empty) == [(0,), (0,)]
    eventually(lambda: structured(centre).keys() == {moved})


def test_a_change_of_weeks_ago_changes_no_minute_nor_does_reading_it_again(centre: Centre) -> None:
    reported, late = centre.contact(), centre.contact(utc_now() - 20 * DAY)
    centre.move(late, "talking", centre.agents[0])
    eventually(lambda: late in structured(centre))
    read_again(centre, "interactions", where=f"interaction_id = {late}")
    comes_again(centre, "interactions", f"interaction_id = {late}")
    centre.move(reported, "abandoned", None)
    world = centre.world()
    world.interactions = [row for row in world.interactions if row["interaction_id"] == reported]
    becomes(minutes, centre, reference.minutes(world))
    assert all(minute > utc_now() - DAY for _, minute in minutes(centre))


def test_a_contact_that_comes_back_is_with_its_agent_since_it_came_back(centre: Centre) -> None:
    agent, now = centre.agents[0], utc_now()
    identity = centre.contact(now - dt.timedelta(minutes=11))
    for state, minutes_ago in (("ringing", 10), ("queued", 7), ("ringing", 5)):
        centre.move(
            identity, state, None if state == "queued" else agent, now - dt.timedelta(minutes=minutes_ago)
        )
    centre.sql("UPDATE interactions SET notes = 'back' WHERE interaction_id = %s", identity)
    read_again(centre, "interactions")
    comes_again(centre, "interactions")
    eventually(lambda: status_of(centre, agent)[2:4] == ("incoming", now - dt.timedelta(minutes=5)))


def test_a_row_is_as_new_as_all_that_it_shows(centre: Centre) -> None:
    agent, queue = centre.agents[0], centre.queues[0]
    centre.activity(agent, "break")

    def newest(table: str) -> list[tuple[object, ...]]:
        return rows(centre, f"SELECT max(_committed_at) FROM {table} AND account_id = {{account}}")

    def as_new(result: str, reported: str) -> bool:
        return newest(result) == newest(reported)

    eventually(lambda: status(centre).get(agent, (None,) * 3)[2] == "break")
    centre.activity(agent, "break", reason="the same in every figure of the queue")
    eventually(lambda: status_of(centre, agent)[6] == "the same in every figure of the queue")
    activity = f"base.agent_activity WHERE agent_id = {agent}"
    eventually(lambda: as_new(f"realtime.queue_stats WHERE queue_id = {queue}", activity))
    centre.change("teams", centre.teams[0], name="Renamed")
    eventually(
        lambda: as_new(
            f"realtime.agent_status WHERE agent_id = {agent}", f"base.teams WHERE team_id = {centre.teams[0]}"
        )
    )


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
    eventually(
        lambda: (
            {identity: row[2] for identity, row in structured(centre).items()}
            == {earlier: name, later: "Married Name"}
        )
    )


def test_an_agent_without_a_record_is_shown_without_a_name_until_it_has_one(centre: Centre) -> None:
    stranger = centre.account * 100 + 77
    centre.activity(stranger, "available")
    eventually(lambda: status(centre).get(stranger, (0, 0, 0))[:3] == (None, None, "available"))
    centre.agent(stranger)
    eventually(lambda: status_of(centre, stranger)[1] == f"Agent {stranger} 🦊")


def test_an_activity_from_the_future_counts_as_of_its_commit(centre: Centre) -> None:
    agent = centre.agents[0]
    centre.activity(agent, "break", utc_now() + dt.timedelta(days=1))
    eventually(lambda: status(centre).get(agent, (None,) * 3)[2] == "break")
    assert status_of(centre, agent)[3] < utc_now() + dt.timedelta(minutes=1)
    centre.activity(agent, "available")
    eventually(lambda: status_of(centre, agent)[2] == "available")
    read_again(centre, "agent_activity")
    comes_again(centre, "agent_activity")
    centre.activity(centre.agents[1], "break")
    eventually(lambda: status(centre).get(centre.agents[1], (None,) * 3)[2] == "break")
    assert status_of(centre, agent)[2] == "available"


def test_an_activity_that_is_an_hour_late_is_none_that_lasts(centre: Centre) -> None:
    agent, now = centre.agents[0], utc_now()
    centre.activity(agent, "available", now)
    centre.activity(agent, "break", now - dt.timedelta(hours=1))
    becomes(sessions, centre, reference.sessions(centre.world().activities))
    assert sessions(centre).keys() == {(agent, now - dt.timedelta(hours=1))}
    assert status_of(centre, agent)[2:4] == ("available", now)


def test_an_agent_who_is_deleted_goes(centre: Centre) -> None:
    agent = centre.agents[0]
    centre.activity(agent, "break")
    eventually(lambda: status(centre).get(agent, (None,) * 3)[2] == "break")
    centre.meta("DELETE FROM agents WHERE agent_id = %s", agent)
    centre.meta("DELETE FROM queue_members WHERE agent_id = %s", agent)
    eventually(lambda: agent not in status(centre))


def test_an_agent_who_moves_to_another_account_leaves_nothing_in_the_one_before(centre: Centre) -> None:
    agent, other = centre.agents[0], centre.account + 500_000
    centre.activity(agent, "break")
    eventually(lambda: status(centre).get(agent, (None,) * 3)[2] == "break")
    centre.meta("DELETE FROM queue_members WHERE agent_id = %s", agent)
    centre.meta("UPDATE agents SET account_id = %s WHERE agent_id = %s", other, agent)
    eventually(lambda: agent not in status(centre))
    eventually(
        lambda: (
            rows(centre, f"SELECT state FROM realtime.agent_status WHERE account_id = {other}")
            == [("offline",)]
        )
    )
