"""Another generation is shown once it is as new as the one before, and what hinders that ends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import OperationalError
from pydantic import SecretStr

from core.clients import clickhouse
from core.errors import SwitchboardError, TransientError
from core.settings import ClickHouseEndpoint, Context, Settings
from schemas.contracts.agent_status import agent_status
from streamer import feed as module
from streamer import snapshot
from streamer.feed import Feed
from streamer.ground import Footing, JobRun
from streamer.hub import Hub
from streamer.state import Change, Sources, State
from tests.unit.streamer.test_hub import ALL, Client, agent, taken

Changes = list[Change]


class Tail:
    """A log that each tail reads from its start."""

    log: Changes
    made: list[Tail]

    def __init__(self, *_: Any) -> None:
        self._read = 0
        self.ended, self.failure, self.running = False, None, False
        Tail.made.append(self)

    def landed(self) -> list[Any]:
        return []

    def assign(self, places: list[Any]) -> None: ...

    def catch_up(self, take: Callable[[Change], object]) -> None:
        while self._read < len(Tail.log):
            take(Tail.log[self._read])
            self._read += 1

    def start(self, take: Callable[[Changes], None]) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False

    def close(self) -> None: ...


class Ground:
    def __init__(self, *_: Any) -> None:
        self.topics = {"realtime.agent_status": JobRun(1, 1)}
        self.away: SwitchboardError | None = None

    def footing(self, tables: Any) -> Footing:
        if self.away is not None:
            raise self.away
        return Footing((agent_status,), dict(self.topics))

    def sources(self) -> Sources:
        return Sources({})

    def learn_servers(self) -> None: ...


@pytest.fixture
def landed(monkeypatch: pytest.MonkeyPatch) -> Changes:
    """What ClickHouse holds."""
    rows: Changes = []
    Tail.log, Tail.made = [], []
    monkeypatch.setattr(module, "Tail", Tail)
    monkeypatch.setattr(module, "Ground", Ground)
    monkeypatch.setattr(module, "ControlDatabase", lambda *_: None)
    monkeypatch.setattr(snapshot, "changes", lambda *_: iter(rows))
    monkeypatch.setattr(snapshot, "zones", lambda *_: {})
    return rows


class Endpoints:
    mysql = (None,)
    kafka = registry = clickhouse = None


def feed_of(hub: Hub) -> tuple[Feed, Any]:
    feed = Feed(Context(Settings(), lambda: Endpoints()), (agent_status,), hub)  # type: ignore[arg-type, return-value]
    return feed, feed._ground


def test_nothing_older_is_shown_when_it_moves(landed: Changes) -> None:
    async def run() -> None:
        hub, client = Hub(State()), Client()
        feed, ground = feed_of(hub)
        landed[:] = [agent(1, 1, "as it landed")]
        Tail.log = [agent(1, 2, "as it is told")]
        await feed.begin()
        mailbox = hub.join(ALL)
        client.take(taken(mailbox))
        assert client.states == {1: "as it is told"}
        ground.topics = {"realtime.agent_status": JobRun(2, 1)}
        landed[:] = [agent(1, 1 << 48, "as it landed"), Change("agent_status", (1, 2), None, (1 << 48) + 9, 0)]
        Tail.log = [agent(2, (1 << 48) + 8, "deleted since"), agent(1, (1 << 48) + 9, "as the new one tells")]
        await feed._look()
        client.take(taken(mailbox))
        assert client.states == {1: "as the new one tells"}
        assert [tail.running for tail in Tail.made] == [False, True]
        await feed._look()
        assert len(Tail.made) == 2, "nothing has moved"

    asyncio.run(run())


def test_what_is_told_until_the_tail_before_has_ended_is_not_taken_back(landed: Changes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        hub = Hub(State())
        feed, ground = feed_of(hub)
        await feed.begin()
        ground.topics = {}
        stop = Tail.stop

        def stop_late(self: Tail) -> None:
            Tail.log.append(agent(1, 5, "told by the one before, at the last moment"))
            stop(self)

        monkeypatch.setattr(Tail, "stop", stop_late)
        await feed._look()
        message = taken(hub.join(ALL))
        assert message is not None
        assert [item.state for item in message.agents] == ["told by the one before, at the last moment"]

    asyncio.run(run())


@pytest.mark.parametrize("error", [TransientError("Kafka does not answer"), SwitchboardError("no such table")])
def test_what_hinders_it_ends_nothing(landed: Changes, monkeypatch: pytest.MonkeyPatch, error: SwitchboardError) -> None:
    async def run() -> None:
        feed, ground = feed_of(Hub(State()))
        await feed.begin()
        ground.away = error
        following = asyncio.create_task(feed.follow())
        await asyncio.sleep(0.05)
        assert not following.done()
        ground.away, ground.topics = None, {}
        while len(Tail.made) < 2:
            await asyncio.sleep(0.01)
        following.cancel()

    monkeypatch.setattr(module, "POINTER_SECONDS", 0.01)
    asyncio.run(run())


def test_a_tail_that_ended_by_itself_ends_the_streamer_loudly(landed: Changes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        feed, _ = feed_of(Hub(State()))
        await feed.begin()
        Tail.made[0].ended = True
        with pytest.raises(TransientError, match="read no more"):
            await asyncio.wait_for(feed.follow(), 30)

    monkeypatch.setattr(module, "POINTER_SECONDS", 0.01)
    asyncio.run(run())


def test_a_client_s_errors_have_a_name() -> None:
    endpoint = ClickHouseEndpoint(host="nowhere", http_port=1, tcp_port=1, user="", password=SecretStr(""))
    with pytest.raises(TransientError, match="does not answer"), clickhouse.answering(endpoint):
        raise OperationalError("Connection refused")
