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
from streamer.sample import snapshot
from streamer.sample import state_loader as module
from streamer.sample.control_reader import ActiveTables, BoundTopic
from streamer.sample.hub import Hub
from streamer.sample.state import Change, Sources, State
from streamer.sample.state_loader import StateLoader
from tests.nowhere import ENDPOINTS
from tests.unit.streamer.test_hub import ALL, Client, agent, taken

Changes = list[Change]


class TopicReader:
    """A log that each tail reads from its start."""

    log: Changes
    created: list[TopicReader]

    def __init__(self, *_: Any) -> None:
        self._read = 0
        self.ended, self.failure, self.running = False, None, False
        TopicReader.created.append(self)

    def committed_offsets(self) -> list[Any]:
        return []

    def assign(self, partitions: list[Any]) -> None: ...

    def catch_up(self, on_changes: Callable[[Change], object]) -> None:
        while self._read < len(TopicReader.log):
            on_changes(TopicReader.log[self._read])
            self._read += 1

    def start(self, on_changes: Callable[[Changes], None]) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False

    def close(self) -> None: ...


class ControlReader:
    def __init__(self, *_: Any) -> None:
        self.topics = {"realtime.agent_status": BoundTopic(1, 1)}
        self.away: SwitchboardError | None = None

    def active_tables(self, tables: Any) -> ActiveTables:
        if self.away is not None:
            raise self.away
        return ActiveTables((agent_status,), dict(self.topics))

    def sources(self) -> Sources:
        return Sources({})

    def refresh_servers(self) -> None: ...


@pytest.fixture
def landed(monkeypatch: pytest.MonkeyPatch) -> Changes:
    """What ClickHouse holds."""
    rows: Changes = []
    TopicReader.log, TopicReader.created = [], []
    monkeypatch.setattr(module, "TopicReader", TopicReader)
    monkeypatch.setattr(module, "ControlReader", ControlReader)
    monkeypatch.setattr(module, "open_control", lambda *_, **__: None)
    monkeypatch.setattr(snapshot, "changes", lambda *_: iter(rows))
    monkeypatch.setattr(snapshot, "time_zones", lambda *_: {})
    return rows


def loader_of(hub: Hub) -> tuple[StateLoader, Any]:
    loader = StateLoader(Context(Settings(), lambda: ENDPOINTS), (agent_status,), hub)
    return loader, loader._control_reader


def test_a_switch_of_generations_shows_nothing_older(landed: Changes) -> None:
    async def run() -> None:
        hub, client = Hub(State()), Client()
        loader, control_reader = loader_of(hub)
        landed[:] = [agent(1, 1, "as it landed")]
        TopicReader.log = [agent(1, 2, "as it is told")]
        await loader.start()
        subscriber = hub.join(ALL)
        client.take(taken(subscriber))
        assert client.states == {1: "as it is told"}
        control_reader.topics = {"realtime.agent_status": BoundTopic(2, 1)}
        landed[:] = [
            agent(1, 1 << 48, "as it landed"),
            Change("agent_status", (1, 2), None, (1 << 48) + 9, 0),
        ]
        TopicReader.log = [
            agent(2, (1 << 48) + 8, "deleted since"),
            agent(1, (1 << 48) + 9, "as the new one tells"),
        ]
        await loader._poll()
        client.take(taken(subscriber))
        assert client.states == {1: "as the new one tells"}
        assert [reader.running for reader in TopicReader.created] == [False, True]
        await loader._poll()
        assert len(TopicReader.created) == 2, "nothing has moved"

    asyncio.run(run())


def test_changes_that_the_previous_reader_passed_on_are_kept(
    landed: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        hub = Hub(State())
        loader, control_reader = loader_of(hub)
        await loader.start()
        control_reader.topics = {}
        stop = TopicReader.stop

        def stop_late(self: TopicReader) -> None:
            TopicReader.log.append(agent(1, 5, "told by the one before, at the last moment"))
            stop(self)

        monkeypatch.setattr(TopicReader, "stop", stop_late)
        await loader._poll()
        message = taken(hub.join(ALL))
        assert message is not None
        assert [item.state for item in message.agents] == ["told by the one before, at the last moment"]

    asyncio.run(run())


@pytest.mark.parametrize(
    "error", [TransientError("Kafka does not answer"), SwitchboardError("no such table")]
)
def test_failures_are_retried(
    landed: Changes, monkeypatch: pytest.MonkeyPatch, error: SwitchboardError
) -> None:
    async def run() -> None:
        loader, control_reader = loader_of(Hub(State()))
        await loader.start()
        control_reader.away = error
        following = asyncio.create_task(loader.follow_generations())
        await asyncio.sleep(0.05)
        assert not following.done()
        control_reader.away, control_reader.topics = None, {}
        while len(TopicReader.created) < 2:
            await asyncio.sleep(0.01)
        following.cancel()

    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    asyncio.run(run())


def test_a_reader_that_failed_ends_the_streamer_with_an_error(
    landed: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        loader, _ = loader_of(Hub(State()))
        await loader.start()
        TopicReader.created[0].ended = True
        with pytest.raises(TransientError, match="has failed"):
            await asyncio.wait_for(loader.follow_generations(), 30)

    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    asyncio.run(run())


def test_errors_of_the_client_are_transient_errors() -> None:
    endpoint = ClickHouseEndpoint(host="nowhere", http_port=1, tcp_port=1, user="", password=SecretStr(""))
    with pytest.raises(TransientError, match="does not answer"), clickhouse.answering(endpoint):
        raise OperationalError("Connection refused")
