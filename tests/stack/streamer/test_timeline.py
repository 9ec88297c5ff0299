"""An agent's timeline over the Connect protocol: states and contacts, from before the hours asked for up to
now, of one tenant."""

from __future__ import annotations

import datetime as dt
from typing import Any

import requests

from tests.pipeline import eventually
from tests.stack.flink_jobs.centre import Centre, utc_now
from tests.stack.streamer.server import Server, token


def ask(server: Server, account: int, agent: int, hours: int = 0) -> dict[str, Any]:
    url = server.page + "switchboard.v1.Supervisor/Timeline"
    answer = requests.post(
        url, json={"agentId": agent, "hours": hours}, headers={"Authorization": token(account)}, timeout=10
    )
    found: dict[str, Any] = answer.json()
    return found


def states(timeline: dict[str, Any]) -> list[str]:
    return [span["state"] for span in timeline.get("spans", ())]


def test_it_begins_with_the_state_at_the_start_of_its_hours_and_merges_equal_ones(
    server: Server, centre: Centre
) -> None:
    agent, now = centre.agents[0], utc_now()
    for hours, state in (
        (9, "offline"),
        (6, "available"),
        (5, "break"),
        (4, "break"),
        (1, "available"),
        (-1, "offline"),
    ):
        centre.activity(agent, state, now - dt.timedelta(hours=hours))
    timeline = eventually(
        lambda: found if len((found := ask(server, centre.account, agent)).get("spans", ())) == 5 else None
    )
    assert states(timeline) == ["offline", "available", "break", "available", "offline"]
    assert ["to" in span for span in timeline["spans"]] == [True, True, True, True, False]
    assert timeline["spans"][0]["from"].startswith(
        (now - dt.timedelta(hours=9)).isoformat(timespec="milliseconds")
    )
    claimed = dt.datetime.fromisoformat(timeline["spans"][-1]["from"])
    assert now - dt.timedelta(seconds=1) <= claimed.replace(tzinfo=None) <= utc_now(), (
        "an activity in the future counts from its commit"
    )
    assert dt.datetime.fromisoformat(timeline["knownAt"]) >= claimed
    assert states(ask(server, centre.account, agent, hours=3)) == ["break", "available", "offline"]
    assert ask(server, centre.account + 500_000, agent)["code"] == "not_found"


def test_it_has_the_contacts_of_its_hours_and_of_no_other_agent(server: Server, centre: Centre) -> None:
    agent, now = centre.agents[1], utc_now()
    hours = {
        name: now - dt.timedelta(hours=back)
        for name, back in (("long ago", 20), ("before", 9), ("answered", 6), ("ended", 5), ("now", 1))
    }
    over, earlier, open_, foreign = (
        centre.contact(started)
        for started in (hours["long ago"], hours["before"], hours["now"], hours["now"])
    )
    centre.move(over, "closed", agent, hours["before"])
    for state, moment in (("talking", hours["answered"]), ("closed", hours["ended"])):
        centre.move(earlier, state, agent, moment)
    centre.move(open_, "ringing", agent)
    centre.sql(
        "UPDATE interactions SET account_id = account_id + 1, agent_id = %s WHERE interaction_id = %s",
        agent,
        foreign,
    )
    timeline = eventually(
        lambda: found if len((found := ask(server, centre.account, agent)).get("contacts", ())) == 2 else None
    )
    first, second = timeline["contacts"]
    assert [int(each["interactionId"]) for each in (first, second)] == [earlier, open_]
    assert [first[name][:19] for name in ("from", "answered", "to")] == [
        hours[name].isoformat()[:19] for name in ("before", "answered", "ended")
    ]
    assert ("answered" in second, "to" in second, first["queueId"] in centre.queues) == (False, False, True)
