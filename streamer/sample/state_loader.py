"""Loads the hub's state: the active generations of the result tables, from ClickHouse and then from their
topics."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from core import logging
from core.control import open_control
from core.errors import SwitchboardError, TransientError
from core.retrying import retry_transient
from core.settings import Context
from schemas.names import topic_of
from schemas.table import Table
from streamer.sample import snapshot
from streamer.sample.control_reader import ActiveTables, ControlReader
from streamer.sample.hub import Hub
from streamer.sample.state import Change, Sources, State
from streamer.sample.topic_reader import TopicReader

START_SECONDS = 120.0
"""How long servers may be unavailable at the start."""
POLL_SECONDS = 2.0
ZONES_SECONDS = 60.0
log = logging.get("streamer")


class StateLoader:
    """Used from one event loop; `start` comes first."""

    def __init__(self, context: Context, tables: Sequence[Table], hub: Hub) -> None:
        self._endpoints = context.endpoints
        self._group = context.settings.landing.group
        self._control = open_control(context, migrate=False)
        self._closing = threading.Event()
        self._control_reader = ControlReader(context.endpoints, self._control, self._closing.is_set)
        self._tables = tuple(tables)
        self._hub = hub
        self._sources = Sources({})
        self._active: ActiveTables | None = None
        self._reader: TopicReader | None = None
        self._loading: TopicReader | None = None

    async def start(self) -> None:
        """Loads the state and starts to read changes.

        Raises TransientError if the servers are unavailable for two minutes.
        """

        def load() -> tuple[ActiveTables, TopicReader, State]:
            active = self._control_reader.active_tables(self._tables)
            self._sources = self._control_reader.sources()
            return (active, *self._load(active))

        await asyncio.to_thread(self._control_reader.refresh_servers)
        await self._switch_to(*await asyncio.to_thread(retry_transient, load, START_SECONDS))

    async def follow_generations(self) -> None:
        """Switches to another generation when it is activated, or a topic is recreated: every subscriber
        receives a snapshot.

        Runs until cancelled. Logs failures and retries. Raises TransientError if reading the topics has
        ended.
        """
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if self._reader is not None and self._reader.ended:
                raise TransientError(
                    f"reading the result topics has failed: {self._reader.failure}", "restart the streamer"
                )
            try:
                await self._poll()
            except SwitchboardError as error:
                log.warning("the active generations cannot be read", error=error.what)

    async def refresh_time_zones(self) -> None:
        """Reads time zones and each server's shards every minute. Runs until cancelled."""
        while True:
            await asyncio.sleep(ZONES_SECONDS)
            await asyncio.to_thread(self._control_reader.refresh_servers)
            try:
                self._hub.set_time_zones(
                    await asyncio.to_thread(snapshot.time_zones, self._endpoints.clickhouse)
                )
            except SwitchboardError as error:
                log.warning("time zones cannot be read", error=error.what)

    def close(self) -> None:
        """Blocks until the reader's thread has ended."""
        self._closing.set()
        for reader in (self._loading, self._reader):
            if reader is not None:
                reader.stop()
        self._control_reader.close()
        self._control.close()

    async def _poll(self) -> None:
        self._sources = await asyncio.to_thread(self._control_reader.sources)
        self._hub.set_sources(self._sources)
        active = await asyncio.to_thread(self._control_reader.active_tables, self._tables)
        if active != self._active:
            await self._switch_to(active, *await asyncio.to_thread(self._load, active))

    def _load(self, active: ActiveTables) -> tuple[TopicReader, State]:
        """Returns a state as new as the ends of the topics, and a reader that continues from there.

        The landers' offsets are read before ClickHouse: records that land in between are read twice, and
        applied once.
        """
        reader = self._loading = TopicReader(
            self._endpoints.kafka, self._endpoints.registry, active.tables, active.topics, self._group
        )
        try:
            start_offsets, state = reader.committed_offsets(), State()
            for change in snapshot.changes(self._endpoints.clickhouse, active.tables):
                state.apply(change)
            state.set_time_zones(snapshot.time_zones(self._endpoints.clickhouse))
            reader.assign(start_offsets)
            reader.catch_up(state.apply)
        except BaseException:
            reader.close()
            raise
        return reader, state

    async def _switch_to(self, active: ActiveTables, reader: TopicReader, state: State) -> None:
        loop, previous = asyncio.get_running_loop(), self._reader
        if previous is not None:  # the changes that it passed on are ahead of us in the loop's queue
            await asyncio.to_thread(previous.stop)
            await asyncio.to_thread(_catch_up, reader, state)
        state.set_sources(self._sources)
        self._hub.replace_state(state)

        def on_changes(changes: list[Change]) -> None:
            loop.call_soon_threadsafe(self._hub.apply, changes)

        self._active, self._reader, self._loading = active, reader, None
        reader.start(on_changes)
        missing = [topic for table in active.tables if (topic := topic_of(table)) not in active.topics]
        log.info(
            "state loaded",
            generations={table.name: table.generation for table in active.tables},
            missing_topics=missing,
        )


def _catch_up(reader: TopicReader, state: State) -> None:
    """Reads at least as far as the previous reader has, so that no subscriber sees anything older."""
    try:
        reader.catch_up(state.apply)
    except TransientError as error:
        log.warning("the live view may briefly show older rows", error=error.what)
