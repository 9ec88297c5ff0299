"""An agent's timeline over the Connect protocol: states and contacts, from before the hours asked for up to now, of one tenant."""

from __future__ import annotations

import datetime as dt
from typing import Any

import requests

from tests.pipeline import eventually
from tests.stack.flink_jobs.centre import Centre, utc_now
from tests.stack.streamer.serving import Server, token


def ask(server: Server, account: int, agent: int, hours: int = 0) -> dict[str, Any]:
    place = server.page + "switchboard.v1.Supervisor/Timeline"
    answer = requests.post(place, json={"agentId": agent, "hours": hours}, headers={"Authorization": token(account)}, timeout=10)
    found: dict[str, Any] = answer.json()
    return found


def states(told: dict[str, Any]) -> list[str]:
    return [span["state"] for span in told.get("spans", ())]


def test_it_begins_with_the_state_that_lasted_into_its_hours_and_joins_equal_ones(server: Server, centre: Centre) -> None:
    agent, now = centre.agents[0], utc_now()
    for hours, state in ((9, "offline"), (6, "available"), (5, "break"), (4, "break"), (1, "available"), (-1, "offline")):
        centre.activity(agent, state, now - dt.timedelta(hours=hours))
    told = eventually(lambda: found if len((found := ask(server, centre.account, agent)).get("spans", ())) == 5 else None)
    assert states(told) == ["offline", "available", "break", "available", "offline"]
    assert ["to" in span for span in told["spans"]] == [True, True, True, True, False]
    assert told["spans"][0]["from"].startswith((now - dt.timedelta(hours=9)).isoformat(timespec="milliseconds"))
    claimed = dt.datetime.fromisoformat(told["spans"][-1]["from"])
    assert now - dt.timedelta(seconds=1) <= claimed.replace(tzinfo=None) <= utc_now(), (
        "what claims to come from the future counts as of its commit"
    )
    assert dt.datetime.fromisoformat(told["knownAt"]) >= claimed
    assert states(ask(server, centre.account, agent, hours=3)) == ["break", "available", "offline"]
    assert ask(server, centre.account + 500_000, agent)["code"] == "not_found"


def test_it_tells_the_contacts_of_its_hours_and_no_one_else_s(server: Server, centre: Centre) -> None:
    agent, now = centre.agents[1], utc_now()
    hours = {
        name: now - dt.timedelta(hours=back) for name, back in (("long ago", 20), ("before", 9), ("answered", 6), ("ended", 5), ("now", 1))
    }
    over, unbounded_state_sources, open_, foreign = (
        centre.contact(started) for started in (hours["long ago"], hours["before"], hours["now"], hours["now"])
    )
    centre.move(over, "closed", agent, hours["before"])
    for state, moment in (("talking", hours["answered"]), ("closed", hours["ended"])):
        centre.move(unbounded_state_sources, state, agent, moment)
    centre.move(open_, "ringing", agent)
    centre.sql("UPDATE interactions SET account_id = account_id + 1, agent_id = %s WHERE interaction_id = %s", agent, foreign)
    told = eventually(lambda: found if len((found := ask(server, centre.account, agent)).get("contacts", ())) == 2 else None)
    first, second = told["contacts"]
    assert [int(each["interactionId"]) for each in (first, second)] == [unbounded_state_sources, open_]
    assert [first[name][:19] for name in ("from", "answered", "to")] == [
        hours[name].isoformat()[:19] for name in ("before", "answered", "ended")
    ]
    assert ("answered" in second, "to" in second, first["queueId"] in centre.queues) == (False, False, True)
