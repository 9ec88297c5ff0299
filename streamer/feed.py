"""What the hub shows: the results in the generations in force, out of ClickHouse and then from their topics."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_exponential

from core import logging
from core.control import ControlDatabase
from core.errors import SwitchboardError, TransientError
from core.settings import Context
from schemas.names import topic_of
from schemas.table import Table
from streamer import snapshot
from streamer.ground import Footing, Ground
from streamer.hub import Hub
from streamer.state import Change, Sources, State
from streamer.tail import Tail

POINTER_SECONDS = 2.0
ZONES_SECONDS = 60.0
T = TypeVar("T")
log = logging.get("streamer")


class Feed:
    """Owned by one loop; `begin` first."""

    def __init__(self, context: Context, tables: Sequence[Table], hub: Hub) -> None:
        self._endpoints = context.endpoints
        self._group = context.settings.landing.group
        self._control = ControlDatabase(context.endpoints.mysql[0], context.settings.control_database)
        self._ending = threading.Event()
        self._ground = Ground(context.endpoints, self._control, self._ending.is_set)
        self._tables = tuple(tables)
        self._hub = hub
        self._sources = Sources({})
        self._footing: Footing | None = None
        self._tail: Tail | None = None
        self._loading: Tail | None = None

    async def begin(self) -> None:
        """Shows what stands and goes on from there. Raises TransientError if the servers are away for minutes."""

        def load() -> tuple[Footing, Tail, State]:
            footing = self._ground.footing(self._tables)
            self._sources = self._ground.sources()
            return (footing, *self._loaded(footing))

        await asyncio.to_thread(self._ground.learn_servers)
        await self._show(*await asyncio.to_thread(patiently, load))

    async def follow(self) -> None:
        """Moves to another generation when the pointer moves, or a topic is made anew: every watcher is sent a snapshot of it.

        What hinders that is told in the log, and tried again. Raises TransientError once the topics are read no more.
        """
        while True:
            await asyncio.sleep(POINTER_SECONDS)
            if self._tail is not None and self._tail.ended:
                raise TransientError(f"the result topics are read no more: {self._tail.failure}", "start the streamer again")
            try:
                await self._look()
            except SwitchboardError as error:
                log.warning("the generations in force cannot be followed", error=error.what)

    async def zones(self) -> None:
        """Time zones, and which server holds which shard, from time to time."""
        while True:
            await asyncio.sleep(ZONES_SECONDS)
            await asyncio.to_thread(self._ground.learn_servers)
            try:
                self._hub.zones(await asyncio.to_thread(snapshot.zones, self._endpoints.clickhouse))
            except SwitchboardError as error:
                log.warning("time zones are not told", error=error.what)

    def end(self) -> None:
        """Blocks until the tail's thread has ended."""
        self._ending.set()
        for tail in (self._loading, self._tail):
            if tail is not None:
                tail.stop()
        self._ground.close()
        self._control.close()

    async def _look(self) -> None:
        self._sources = await asyncio.to_thread(self._ground.sources)
        self._hub.sources(self._sources)
        footing = await asyncio.to_thread(self._ground.footing, self._tables)
        if footing != self._footing:
            await self._show(footing, *await asyncio.to_thread(self._loaded, footing))

    def _loaded(self, footing: Footing) -> tuple[Tail, State]:
        """A state as new as the topics' ends, and the tail that goes on from there.

        The landers' offsets first, then what ClickHouse holds: what lands in between is read twice and counts once.
        """
        tail = self._loading = Tail(self._endpoints.kafka, self._endpoints.registry, footing.tables, footing.topics, self._group)
        try:
            places, state = tail.landed(), State()
            for change in snapshot.changes(self._endpoints.clickhouse, footing.tables):
                state.apply(change)
            state.zones(snapshot.zones(self._endpoints.clickhouse))
            tail.assign(places)
            tail.catch_up(state.apply)
        except BaseException:
            tail.close()
            raise
        return tail, state

    async def _show(self, footing: Footing, tail: Tail, state: State) -> None:
        loop, before = asyncio.get_running_loop(), self._tail
        if before is not None:  # what it has handed over stands in the loop's queue, before us
            await asyncio.to_thread(before.stop)
            await asyncio.to_thread(_to_the_end, tail, state)
        state.sources(self._sources)
        self._hub.show(state)

        def take(changes: list[Change]) -> None:
            loop.call_soon_threadsafe(self._hub.take, changes)

        self._footing, self._tail, self._loading = footing, tail, None
        tail.start(take)
        left_out = [topic for table in footing.tables if (topic := topic_of(table)) not in footing.topics]
        log.info("showing", generations={table.name: table.generation for table in footing.tables}, topics_left_out=left_out)


def _to_the_end(tail: Tail, state: State) -> None:
    """As far as the tail before it has read at least, so that nobody is shown anything older."""
    try:
        tail.catch_up(state.apply)
    except TransientError as error:
        log.warning("what is shown may step back for a moment", error=error.what)


def patiently(call: Callable[[], T]) -> T:
    """Calls again for two minutes while servers are away; blocks."""
    pause, limit = wait_exponential(multiplier=0.5, max=5), stop_after_delay(120)
    again = retry(retry=retry_if_exception_type(TransientError), stop=limit, wait=pause, reraise=True)
    return again(call)()
