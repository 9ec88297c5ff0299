"""A watcher sees what the topics say, however slowly it takes it, and only of its tenant and teams."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import Any

import pytest

from streamer.auth import Caller
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.hub import Hub, Mailbox
from streamer.state import ACTIVITIES, AGENTS, QUEUES, Change, State

FOREVER = 4e9
ALL = Caller("ada", 1, None, FOREVER)


def agent(identity: int, version: int, state: str = "available", tenant: int = 1, team: int = 10) -> Change:
    row = {
        "account_id": tenant,
        "agent_id": identity,
        "team_id": team,
        "team": "Team",
        "name": f"Agent {identity}",
        "state": state,
        "reason": None,
        "since": None,
        "contacts": '{"voice":1,"chat":0}',
        "queues": "[2,1]",
    }
    return Change(AGENTS, (tenant, identity), row, version, 1_000 + version)


def queue(identity: int) -> Change:
    row: dict[str, Any] = dict.fromkeys(("waiting", "in_service", "agents_available", "agents_busy", "agents_offline"), 0)
    row |= {"account_id": 1, "queue_id": identity, "name": "Nine", "channel": "voice", "target_seconds": 20, "oldest_waiting_since": None}
    return Change(QUEUES, (1, identity), row, 1, 50)


def gone(identity: int, version: int, tenant: int = 1) -> Change:
    return Change(AGENTS, (tenant, identity), None, version, 0)


def taken(mailbox: Mailbox) -> pb.WatchResponse | None:
    shared = mailbox.pop()
    return None if shared is None else pb.WatchResponse.FromString(shared.data)


class Client:
    """What a page holds."""

    def __init__(self) -> None:
        self.states: dict[int, str] = {}

    def take(self, message: pb.WatchResponse | None) -> None:
        if message is None:
            return
        if message.snapshot:
            self.states.clear()
        for identity in message.removed_agent_ids:
            self.states.pop(identity, None)
        self.states.update({item.agent_id: item.state for item in message.agents})


def test_the_first_message_is_a_snapshot_of_its_tenant_alone() -> None:
    hub = Hub(State())
    hub.take([agent(1, 1), agent(2, 2, tenant=2), gone(3, 3)])
    message = taken(hub.join(ALL))
    assert message is not None
    assert (message.snapshot, [item.agent_id for item in message.agents]) == (True, [1])
    assert (dict(message.agents[0].contacts), list(message.agents[0].queue_ids)) == ({"voice": 1}, [1, 2])
    assert message.data_at.ToMilliseconds() == 1002


def test_teams_of_the_token_narrow_the_agents_down() -> None:
    hub = Hub(State())
    hub.take([agent(1, 1, team=10), agent(2, 2, team=11)])
    mailbox = hub.join(Caller("ada", 1, frozenset((11,)), FOREVER))
    message = taken(mailbox)
    assert message is not None
    assert [item.agent_id for item in message.agents] == [2]
    hub.take([agent(2, 5, team=10)])
    hub._flush()
    assert list((taken(mailbox) or pb.WatchResponse()).removed_agent_ids) == [2], "it went to another team"


def test_what_is_older_than_what_is_known_changes_nothing() -> None:
    state = State()
    assert state.apply(agent(1, 5, "break"))
    assert not state.apply(agent(1, 5, "available"))
    assert not state.apply(gone(1, 4))
    assert state.tenants[1].agents[1]["state"] == "break"


@pytest.mark.parametrize("seed", range(30))
def test_fast_and_slow_watchers_hold_in_the_end_what_is_true(seed: int) -> None:
    random, hub = Random(seed), Hub(State())
    clients: list[tuple[Mailbox, Client, float]] = []
    for version in range(1, 200):
        identity = random.randrange(6)
        change = (
            gone(identity, version) if random.random() < 0.2 else agent(identity, version, random.choice(("available", "break", "offline")))
        )
        hub.take([change])
        if random.random() < 0.05:
            clients.append((hub.join(ALL), Client(), random.random()))
        if random.random() < 0.3:
            hub._flush()
        for mailbox, client, pace in clients:
            if random.random() < pace:
                client.take(taken(mailbox))
    hub._flush()
    truth = {identity: row["state"] for identity, row in hub._state.tenants[1].agents.items()}
    for mailbox, client, _ in clients:
        client.take(taken(mailbox))
        assert client.states == truth


def test_a_beat_tells_time_though_nothing_changed_and_queues_move_with_it() -> None:
    hub = Hub(State())
    hub.take([queue(9)])
    mailbox = hub.join(ALL)
    taken(mailbox)
    hub._flush()
    taken(mailbox)
    hub._flush()
    assert taken(mailbox) is None
    hub._flush(1)
    message = taken(mailbox)
    assert message is not None
    assert [window.span for window in message.queues[0].windows] == ["15m", "30m", "60m", "day"]
    assert not message.queues[0].windows[0].HasField("service_level")


def test_a_queue_s_occupancy_is_of_its_agents_and_newer_each_second() -> None:
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)

    def activity(identity: int, minutes: int, state: str) -> Change:
        row = {"activity_id": minutes, "state": state, "occurred_at": now - dt.timedelta(minutes=minutes)}
        return Change(ACTIVITIES, (1, identity), row, 0, 0)

    hub = Hub(State())
    hub.take([agent(1, 1), agent(2, 1), queue(2), activity(1, 8, "on contact"), activity(1, 6, "offline"), activity(2, 9, "available")])
    hub.take([activity(2, 1, "offline")])
    mailbox = hub.join(ALL)
    message = taken(mailbox)
    assert message is not None
    assert message.queues[0].windows[0].occupancy == pytest.approx(0.2)
    hub.take([activity(1, 2, "on contact"), activity(1, 1, "offline")])
    hub._measure(now)
    hub._flush(1)
    message = taken(mailbox)
    assert message is not None
    assert message.queues[0].windows[0].occupancy == pytest.approx(3 / 11)


def test_watchers_of_one_view_share_one_message() -> None:
    hub = Hub(State())
    mailboxes = [hub.join(ALL) for _ in range(3)]
    for mailbox in mailboxes:
        taken(mailbox)
    hub.take([agent(1, 1)])
    hub._flush()
    first, *others = (mailbox.pop() for mailbox in mailboxes)
    assert all(other is first for other in others)


def test_another_state_reaches_every_watcher_as_a_snapshot() -> None:
    hub, client = Hub(State()), Client()
    hub.take([agent(1, 9, "break"), agent(2, 9)])
    mailbox = hub.join(ALL)
    client.take(taken(mailbox))
    other = State()
    other.apply(agent(1, 3, "available"))
    hub.show(other)
    client.take(taken(mailbox))
    assert client.states == {1: "available"}
    hub.take([agent(1, 4, "offline")])
    hub._flush()
    client.take(taken(mailbox))
    assert client.states == {1: "offline"}
