"""A watcher sees what the topics say, however slowly it takes it, and only of its tenant and teams."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import Any

import pytest

from streamer.auth import Caller
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.sample.hub import Hub
from streamer.sample.state import Change, State
from streamer.sample.subscriber import MAX_ENTITIES, MessageContents, Subscriber
from streamer.sample.subscriber_group import concerns
from streamer.sample.tenant import ACTIVITIES, AGENTS, MINUTES, QUEUES
from streamer.sample.windows import Counts

FOREVER = 4e9
ALL = Caller("ada", 1, None, FOREVER)
TEN = Caller("ten", 1, frozenset((10,)), FOREVER)
NOON = dt.datetime(2026, 11, 23, 12)


def agent(
    identity: int,
    version: int,
    state: str = "available",
    tenant: int = 1,
    team: int = 10,
    queues: str = "[2,1]",
    **more: Any,
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
    row: dict[str, Any] = dict.fromkeys(
        ("in_service", "agents_available", "agents_busy", "agents_offline"), 0
    )
    row |= {
        "account_id": 1,
        "queue_id": identity,
        "name": "Nine",
        "channel": "voice",
        "target_seconds": 20,
        "oldest_waiting_since": None,
    }
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


def taken(subscriber: Subscriber) -> pb.WatchResponse | None:
    message = subscriber.pop()
    return None if message is None else pb.WatchResponse.FromString(message.data)


class Client:
    """What a page holds."""

    def __init__(self) -> None:
        self.states: dict[int, str] = {}
        self.waiting: dict[int, int] = {}
        self.active_alerts: dict[str, int] = {}
        """Alert -> its agent."""

    def take(self, message: pb.WatchResponse | None) -> None:
        if message is None:
            return
        if message.snapshot:
            self.states.clear()
            self.waiting.clear()
            self.active_alerts.clear()
        for identity in message.removed_agent_ids:
            self.states.pop(identity, None)
        for identity in message.removed_queue_ids:
            self.waiting.pop(identity, None)
        self.states.update({item.agent_id: item.state for item in message.agents})
        self.waiting.update({item.queue_id: item.waiting for item in message.queues})
        for alert in message.alerts:
            if alert.HasField("cleared_at"):
                self.active_alerts.pop(alert.alert_id, None)
            else:
                self.active_alerts[alert.alert_id] = alert.agent_id


def test_the_first_message_is_a_snapshot_of_its_tenant_alone() -> None:
    hub = Hub(State())
    hub.apply([agent(1, 1), agent(2, 2, tenant=2), gone(3, 3)])
    message = taken(hub.join(ALL))
    assert message is not None
    assert (message.snapshot, [item.agent_id for item in message.agents]) == (True, [1])
    assert (dict(message.agents[0].contacts), list(message.agents[0].queue_ids)) == ({"voice": 1}, [1, 2])
    assert message.data_at.ToMilliseconds() == 1001, (
        "of a source that is not known nothing is known but what is shown"
    )


def test_a_token_s_teams_limit_the_agents() -> None:
    hub = Hub(State())
    hub.apply([agent(1, 1, team=10), agent(2, 2, team=11)])
    subscriber = hub.join(Caller("ada", 1, frozenset((11,)), FOREVER))
    message = taken(subscriber)
    assert message is not None
    assert [item.agent_id for item in message.agents] == [2]
    hub.apply([agent(2, 5, team=10)])
    hub._flush()
    assert list((taken(subscriber) or pb.WatchResponse()).removed_agent_ids) == [2], "it went to another team"


def test_an_older_version_is_not_applied() -> None:
    state = State()
    assert state.apply(agent(1, 5, "break"))
    assert not state.apply(agent(1, 5, "available"))
    assert not state.apply(gone(1, 4))
    assert state.tenants[1].agents[1]["state"] == "break"


@pytest.mark.parametrize("seed", range(20))
def test_fast_and_slow_subscribers_end_with_the_current_state(seed: int) -> None:
    random, hub = Random(seed), Hub(State())
    clients: list[tuple[Subscriber, Client, float, Caller]] = []
    for version in range(1, 300):
        hub.apply([change_of(random, version)])
        if random.random() < 0.05:
            caller = random.choice(
                (
                    ALL,
                    TEN,
                    Caller("bob", 1, frozenset((10, 11)), FOREVER),
                    Caller("eve", 1, frozenset(), FOREVER),
                )
            )
            clients.append((hub.join(caller), Client(), random.random(), caller))
        if random.random() < 0.3:
            hub._evaluate_alerts(NOON + dt.timedelta(seconds=version))
        if random.random() < 0.3:
            hub._flush(random.choice((None, random.randrange(20))))
        if random.random() < 0.02:
            hub.replace_state(hub._state)
        for subscriber, client, pace, _ in clients:
            if random.random() < pace:
                client.take(taken(subscriber))
    hub._flush()
    tenant = hub._state.tenants[1]
    for subscriber, client, _, caller in clients:
        client.take(taken(subscriber))
        assert client.states == {
            agent: row["state"]
            for agent, row in tenant.agents.items()
            if tenant.sees_agent(agent, caller.teams)
        }
        assert client.waiting == {
            queue: row["waiting"]
            for queue, row in tenant.queues.items()
            if tenant.sees_queue(queue, caller.teams)
        }
        active = [
            alert
            for alert in hub._visible_alerts(1)
            if alert.cleared_at is None and concerns(tenant, alert, caller.teams)
        ]
        assert client.active_alerts == {alert.id: alert.subject.agent_id for alert in active}
        assert not client.states or caller.teams != frozenset()


def change_of(random: Random, version: int) -> Change:
    identity, lost = random.randrange(6), random.random() < 0.2
    if random.random() < 0.3:
        return (
            gone(identity, version, table=QUEUES) if lost else queue(identity, version, random.randrange(12))
        )
    if lost:
        return gone(identity, version)
    state, queues = (
        random.choice(("available", "after-contact work", "offline")),
        random.choice(("[]", "[1]", "[1,2]", "[5]")),
    )
    return agent(
        identity,
        version,
        state,
        team=random.choice((10, 11, 12)),
        queues=queues,
        since=NOON - dt.timedelta(minutes=10),
    )


def test_a_stalled_subscriber_costs_ids_instead_of_messages_and_then_receives_the_current_state() -> None:
    hub, client = Hub(State()), Client()
    subscriber = hub.join(ALL)
    client.take(taken(subscriber))
    for version in range(1, 500):
        hub.apply(
            [
                agent(version % 7, version, f"state {version}"),
                queue(version % 3, version, version),
                agent(50 + version, version),
            ]
        )
        hub.apply([gone(50 + version, version + 1000)])
        hub._flush(version % 20)
    assert isinstance(subscriber._waiting, MessageContents)
    assert len(subscriber._waiting) < 7 + 3 + 500
    hub.apply([agent(1, 1000, "as it is now")])
    client.take(taken(subscriber))
    assert (len(client.states), client.states[1], sorted(client.waiting)) == (7, "as it is now", [0, 1, 2])


def test_a_queued_message_is_bounded_by_the_view() -> None:
    first, second = MessageContents(agents=set(range(MAX_ENTITIES))), MessageContents(agents={MAX_ENTITIES})
    assert first.merged_with(second) == MessageContents(snapshot=True)
    assert first.merged_with(MessageContents(agents={1})) == MessageContents(snapshot=True)
    assert MessageContents(snapshot=True).merged_with(second) == MessageContents(snapshot=True)


def test_subscribers_who_join_between_two_flushes_share_one_snapshot() -> None:
    hub = Hub(State())
    hub.apply([agent(1, 1)])
    first, second = hub.join(ALL).pop(), hub.join(ALL).pop()
    assert first is second
    hub.apply([agent(1, 2, "break")])
    hub._flush()
    third = hub.join(ALL).pop()
    assert third is not None
    assert third.message.agents[0].state == "break"


def test_a_queue_is_visible_to_the_teams_that_serve_it() -> None:
    hub, client, none = Hub(State()), Client(), Client()
    hub.apply(
        [
            queue(1),
            queue(2),
            queue(3),
            agent(1, 1, team=10, queues="[1]"),
            agent(2, 1, team=11, queues="[1,2]"),
        ]
    )
    subscriber, nothing = hub.join(TEN), hub.join(Caller("eve", 1, frozenset(), FOREVER))
    client.take(taken(subscriber))
    assert set(client.waiting) == {1}
    hub.apply([agent(1, 2, team=10, queues="[3]")])
    hub._flush(3)
    client.take(taken(subscriber))
    assert set(client.waiting) == {3}, "its agent serves another, though nothing of the queues has changed"
    none.take(taken(nothing))
    assert (none.states, none.waiting) == ({}, {})


def test_a_deleted_queue_is_removed() -> None:
    hub, client = Hub(State()), Client()
    hub.apply([queue(1), queue(2)])
    subscriber = hub.join(ALL)
    client.take(taken(subscriber))
    hub.apply([gone(1, 2, table=QUEUES)])
    hub._flush()
    client.take(taken(subscriber))
    assert set(client.waiting) == {2}


def test_a_queue_has_the_time_of_its_counts_and_an_agent_its_occupancy() -> None:
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None, second=0, microsecond=0)
    hub = Hub(State())
    hub.apply(
        [
            agent(1, 1),
            queue(1),
            queue(2),
            counted(1, now, 5, 3),
            counted(1, now - dt.timedelta(minutes=70), 6, 4),
        ]
    )
    hub.apply(
        [
            activity(1, now, 40, "on contact"),
            activity(1, now, 30, "available"),
            activity(1, now, 10, "offline"),
        ]
    )
    message = taken(hub.join(ALL))
    assert message is not None
    queues = {item.queue_id: item for item in message.queues}
    assert queues[1].counted_at.ToMilliseconds() == 66
    assert [window.offered for window in queues[1].windows[:3]] == [3, 3, 3]
    assert queues[1].trend[-1].offered == 3
    assert not queues[2].HasField("counted_at")
    assert message.agents[0].occupancy == pytest.approx(1 / 3)


def test_a_changed_occupancy_is_sent_with_the_heartbeat_without_a_change_of_the_agent() -> None:
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    hub = Hub(State())
    hub.apply([agent(1, 1), activity(1, now, 10, "on contact"), activity(1, now, 5, "available")])
    subscriber = hub.join(ALL)
    taken(subscriber)
    hub._flush(subscriber.cohort)
    taken(subscriber)
    hub._measure(now + dt.timedelta(minutes=5))
    hub._flush(subscriber.cohort)
    message = taken(subscriber)
    assert message is not None
    assert message.agents[0].occupancy == pytest.approx(1 / 3, abs=0.01)
    hub._measure(now + dt.timedelta(minutes=5, seconds=1))
    hub._flush(subscriber.cohort)
    assert not (taken(subscriber) or message).agents, "so little is told with the next change"


def test_a_row_that_cannot_be_encoded_is_left_out_and_ends_no_stream() -> None:
    hub, client = Hub(State()), Client()
    hub.apply(
        [
            agent(1, 1),
            agent(2, 1, contacts="no JSON"),
            agent(3, 1, queues="no JSON"),
            queue(1, waiting=-1),
            queue(2),
        ]
    )
    client.take(taken(hub.join(ALL)))
    assert (set(client.states), set(client.waiting)) == ({1}, {2})


def test_a_heartbeat_is_sent_without_changes_and_has_every_queue() -> None:
    hub = Hub(State())
    hub.apply([queue(9)])
    subscriber = hub.join(ALL)
    taken(subscriber)
    hub._flush()
    taken(subscriber)
    hub._flush()
    assert taken(subscriber) is None
    hub._flush(1)
    message = taken(subscriber)
    assert message is not None
    assert [window.span for window in message.queues[0].windows] == ["15m", "30m", "60m", "day"]
    assert not message.queues[0].windows[0].HasField("service_level")


def test_a_queue_s_occupancy_is_that_of_its_agents_and_is_updated_each_second() -> None:
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)

    hub = Hub(State())
    hub.apply(
        [
            agent(1, 1),
            agent(2, 1),
            queue(2),
            activity(1, now, 8, "on contact"),
            activity(1, now, 6, "offline"),
        ]
    )
    hub.apply([activity(2, now, 9, "available"), activity(2, now, 1, "offline")])
    subscriber = hub.join(ALL)
    message = taken(subscriber)
    assert message is not None
    assert message.queues[0].windows[0].occupancy == pytest.approx(0.2)
    hub.apply([activity(1, now, 2, "on contact"), activity(1, now, 1, "offline")])
    hub._measure(now)
    hub._flush(1)
    message = taken(subscriber)
    assert message is not None
    assert message.queues[0].windows[0].occupancy == pytest.approx(3 / 11)


def test_subscribers_of_one_view_share_one_message() -> None:
    hub = Hub(State())
    subscribers = [hub.join(ALL) for _ in range(3)]
    for subscriber in subscribers:
        taken(subscriber)
    hub.apply([agent(1, 1)])
    hub._flush()
    first, *others = (subscriber.pop() for subscriber in subscribers)
    assert all(other is first for other in others)


def test_a_replaced_state_reaches_every_subscriber_as_a_snapshot() -> None:
    hub, client = Hub(State()), Client()
    hub.apply([agent(1, 9, "break"), agent(2, 9)])
    subscriber = hub.join(ALL)
    client.take(taken(subscriber))
    other = State()
    other.apply(agent(1, 3, "available"))
    hub.replace_state(other)
    client.take(taken(subscriber))
    assert client.states == {1: "available"}
    hub.apply([agent(1, 4, "offline")])
    hub._flush()
    client.take(taken(subscriber))
    assert client.states == {1: "offline"}
