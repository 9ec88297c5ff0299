"""A watcher sees what the topics say, however slowly it takes it, and only of its tenant and teams."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import Any

import pytest

from streamer.auth import Caller
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.hub import Hub
from streamer.mailbox import MOST, Mailbox, Parts
from streamer.room import concerns
from streamer.state import Change, State
from streamer.tenant import ACTIVITIES, AGENTS, MINUTES, QUEUES
from streamer.windows import Counts

FOREVER = 4e9
ALL = Caller("ada", 1, None, FOREVER)
TEN = Caller("ten", 1, frozenset((10,)), FOREVER)
NOON = dt.datetime(2026, 11, 23, 12)


def agent(
    identity: int, version: int, state: str = "available", tenant: int = 1, team: int = 10, queues: str = "[2,1]", **more: Any
) -> Change:
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
        "queues": queues,
    }
    return Change(AGENTS, (tenant, identity), row | more, version, 1_000 + version)


def queue(identity: int, version: int = 1, waiting: int = 0) -> Change:
    row: dict[str, Any] = dict.fromkeys(("in_service", "agents_available", "agents_busy", "agents_offline"), 0)
    row |= {"account_id": 1, "queue_id": identity, "name": "Nine", "channel": "voice", "target_seconds": 20, "oldest_waiting_since": None}
    return Change(QUEUES, (1, identity), row | {"waiting": waiting}, version, 50)


def counted(queue: int, minute: dt.datetime, version: int, offered: int) -> Change:
    row = dict.fromkeys(Counts._fields, 0) | {"offered": offered}
    return Change(MINUTES, (1, queue, minute), row, version, 60 + version)


def gone(identity: int, version: int, tenant: int = 1, table: str = AGENTS) -> Change:
    return Change(table, (tenant, identity), None, version, 0)


def activity(identity: int, now: dt.datetime, minutes: int, state: str) -> Change:
    """So many minutes ago."""
    row = {"activity_id": minutes, "state": state, "occurred_at": now - dt.timedelta(minutes=minutes)}
    return Change(ACTIVITIES, (1, identity), row, 0, 0)


def taken(mailbox: Mailbox) -> pb.WatchResponse | None:
    shared = mailbox.pop()
    return None if shared is None else pb.WatchResponse.FromString(shared.data)


class Client:
    """What a page holds."""

    def __init__(self) -> None:
        self.states: dict[int, str] = {}
        self.waiting: dict[int, int] = {}
        self.standing: dict[str, int] = {}
        """Alert -> its agent."""

    def take(self, message: pb.WatchResponse | None) -> None:
        if message is None:
            return
        if message.snapshot:
            self.states.clear()
            self.waiting.clear()
            self.standing.clear()
        for identity in message.removed_agent_ids:
            self.states.pop(identity, None)
        for identity in message.removed_queue_ids:
            self.waiting.pop(identity, None)
        self.states.update({item.agent_id: item.state for item in message.agents})
        self.waiting.update({item.queue_id: item.waiting for item in message.queues})
        for alert in message.alerts:
            if alert.HasField("cleared_at"):
                self.standing.pop(alert.alert_id, None)
            else:
                self.standing[alert.alert_id] = alert.agent_id


def test_the_first_message_is_a_snapshot_of_its_tenant_alone() -> None:
    hub = Hub(State())
    hub.take([agent(1, 1), agent(2, 2, tenant=2), gone(3, 3)])
    message = taken(hub.join(ALL))
    assert message is not None
    assert (message.snapshot, [item.agent_id for item in message.agents]) == (True, [1])
    assert (dict(message.agents[0].contacts), list(message.agents[0].queue_ids)) == ({"voice": 1}, [1, 2])
    assert message.data_at.ToMilliseconds() == 1001, "of a source that is not known nothing is known but what is shown"


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


@pytest.mark.parametrize("seed", range(20))
def test_fast_and_slow_watchers_hold_in_the_end_what_is_true(seed: int) -> None:
    random, hub = Random(seed), Hub(State())
    clients: list[tuple[Mailbox, Client, float, Caller]] = []
    for version in range(1, 300):
        hub.take([change_of(random, version)])
        if random.random() < 0.05:
            caller = random.choice((ALL, TEN, Caller("bob", 1, frozenset((10, 11)), FOREVER), Caller("eve", 1, frozenset(), FOREVER)))
            clients.append((hub.join(caller), Client(), random.random(), caller))
        if random.random() < 0.3:
            hub._judge(NOON + dt.timedelta(seconds=version))
        if random.random() < 0.3:
            hub._flush(random.choice((None, random.randrange(20))))
        if random.random() < 0.02:
            hub.show(hub._state)
        for mailbox, client, pace, _ in clients:
            if random.random() < pace:
                client.take(taken(mailbox))
    hub._flush()
    tenant = hub._state.tenants[1]
    for mailbox, client, _, caller in clients:
        client.take(taken(mailbox))
        assert client.states == {agent: row["state"] for agent, row in tenant.agents.items() if tenant.sees_agent(agent, caller.teams)}
        assert client.waiting == {queue: row["waiting"] for queue, row in tenant.queues.items() if tenant.sees_queue(queue, caller.teams)}
        standing = [alert for alert in hub._shown(1) if alert.cleared_at is None and concerns(tenant, alert, caller.teams)]
        assert client.standing == {alert.id: alert.subject.agent_id for alert in standing}
        assert not client.states or caller.teams != frozenset()


def change_of(random: Random, version: int) -> Change:
    identity, lost = random.randrange(6), random.random() < 0.2
    if random.random() < 0.3:
        return gone(identity, version, table=QUEUES) if lost else queue(identity, version, random.randrange(12))
    if lost:
        return gone(identity, version)
    state, queues = random.choice(("available", "after-contact work", "offline")), random.choice(("[]", "[1]", "[1,2]", "[5]"))
    return agent(identity, version, state, team=random.choice((10, 11, 12)), queues=queues, since=NOON - dt.timedelta(minutes=10))


def test_a_stalled_watcher_costs_ids_and_not_messages_and_is_sent_what_is_true_when_it_reads_on() -> None:
    hub, client = Hub(State()), Client()
    mailbox = hub.join(ALL)
    client.take(taken(mailbox))
    for version in range(1, 500):
        hub.take([agent(version % 7, version, f"state {version}"), queue(version % 3, version, version), agent(50 + version, version)])
        hub.take([gone(50 + version, version + 1000)])
        hub._flush(version % 20)
    assert isinstance(mailbox._waiting, Parts)
    assert len(mailbox._waiting) < 7 + 3 + 500
    hub.take([agent(1, 1000, "as it is now")])
    client.take(taken(mailbox))
    assert (len(client.states), client.states[1], sorted(client.waiting)) == (7, "as it is now", [0, 1, 2])


def test_what_waits_is_bounded_by_the_view() -> None:
    first, second = Parts(agents=set(range(MOST))), Parts(agents={MOST})
    assert first.and_then(second) == Parts(snapshot=True)
    assert first.and_then(Parts(agents={1})) == Parts(snapshot=True)
    assert Parts(snapshot=True).and_then(second) == Parts(snapshot=True)


def test_all_who_come_between_two_flushes_share_one_snapshot() -> None:
    hub = Hub(State())
    hub.take([agent(1, 1)])
    first, second = hub.join(ALL).pop(), hub.join(ALL).pop()
    assert first is second
    hub.take([agent(1, 2, "break")])
    hub._flush()
    third = hub.join(ALL).pop()
    assert third is not None
    assert third.message.agents[0].state == "break"


def test_a_queue_is_shown_to_the_teams_that_serve_it() -> None:
    hub, client, none = Hub(State()), Client(), Client()
    hub.take([queue(1), queue(2), queue(3), agent(1, 1, team=10, queues="[1]"), agent(2, 1, team=11, queues="[1,2]")])
    mailbox, nothing = hub.join(TEN), hub.join(Caller("eve", 1, frozenset(), FOREVER))
    client.take(taken(mailbox))
    assert set(client.waiting) == {1}
    hub.take([agent(1, 2, team=10, queues="[3]")])
    hub._flush(3)
    client.take(taken(mailbox))
    assert set(client.waiting) == {3}, "its agent serves another, though nothing of the queues has changed"
    none.take(taken(nothing))
    assert (none.states, none.waiting) == ({}, {})


def test_a_queue_that_is_gone_goes_from_the_page() -> None:
    hub, client = Hub(State()), Client()
    hub.take([queue(1), queue(2)])
    mailbox = hub.join(ALL)
    client.take(taken(mailbox))
    hub.take([gone(1, 2, table=QUEUES)])
    hub._flush()
    client.take(taken(mailbox))
    assert set(client.waiting) == {2}


def test_a_queue_tells_when_its_windows_were_counted_and_an_agent_its_occupancy() -> None:
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None, second=0, microsecond=0)
    hub = Hub(State())
    hub.take([agent(1, 1), queue(1), queue(2), counted(1, now, 5, 3), counted(1, now - dt.timedelta(minutes=70), 6, 4)])
    hub.take([activity(1, now, 40, "on contact"), activity(1, now, 30, "available"), activity(1, now, 10, "offline")])
    message = taken(hub.join(ALL))
    assert message is not None
    told = {item.queue_id: item for item in message.queues}
    assert told[1].counted_at.ToMilliseconds() == 66
    assert [window.offered for window in told[1].windows[:3]] == [3, 3, 3]
    assert told[1].trend[-1].offered == 3
    assert not told[2].HasField("counted_at")
    assert message.agents[0].occupancy == pytest.approx(1 / 3)


def test_an_occupancy_that_moved_is_told_with_the_beat_though_the_agent_has_not_changed() -> None:
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    hub = Hub(State())
    hub.take([agent(1, 1), activity(1, now, 10, "on contact"), activity(1, now, 5, "available")])
    mailbox = hub.join(ALL)
    taken(mailbox)
    hub._flush(mailbox.cohort)
    taken(mailbox)
    hub._measure(now + dt.timedelta(minutes=5))
    hub._flush(mailbox.cohort)
    message = taken(mailbox)
    assert message is not None
    assert message.agents[0].occupancy == pytest.approx(1 / 3, abs=0.01)
    hub._measure(now + dt.timedelta(minutes=5, seconds=1))
    hub._flush(mailbox.cohort)
    assert not (taken(mailbox) or message).agents, "so little is told with the next change"


def test_a_row_that_no_message_can_hold_takes_nobody_s_stream_away() -> None:
    hub, client = Hub(State()), Client()
    hub.take([agent(1, 1), agent(2, 1, contacts="no JSON"), agent(3, 1, queues="no JSON"), queue(1, waiting=-1), queue(2)])
    client.take(taken(hub.join(ALL)))
    assert (set(client.states), set(client.waiting)) == ({1}, {2})


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

    hub = Hub(State())
    hub.take([agent(1, 1), agent(2, 1), queue(2), activity(1, now, 8, "on contact"), activity(1, now, 6, "offline")])
    hub.take([activity(2, now, 9, "available"), activity(2, now, 1, "offline")])
    mailbox = hub.join(ALL)
    message = taken(mailbox)
    assert message is not None
    assert message.queues[0].windows[0].occupancy == pytest.approx(0.2)
    hub.take([activity(1, now, 2, "on contact"), activity(1, now, 1, "offline")])
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
