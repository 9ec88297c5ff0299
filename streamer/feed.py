"""What the hub shows: the results in the generations in force, out of ClickHouse and then from their topics."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from confluent_kafka import TopicPartition
from sqlalchemy.exc import SQLAlchemyError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_exponential

from core import logging
from core.control import ControlDatabase
from core.control.results import pointers
from core.errors import TransientError
from core.settings import Context
from schemas.table import Table
from streamer import snapshot
from streamer.hub import Hub
from streamer.state import Change, State
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
        self._tables = tuple(tables)
        self._hub = hub
        self._tail: Tail | None = None
        self._thread: threading.Thread | None = None

    async def begin(self) -> None:
        """Shows what stands and goes on from there. Raises TransientError if the servers are away for minutes."""
        await self._show(await asyncio.to_thread(patiently, self._in_force))

    async def follow(self) -> None:
        """Moves to another generation when the pointer moves: every watcher is sent a snapshot of it."""
        while True:
            await asyncio.sleep(POINTER_SECONDS)
            try:
                tables = await asyncio.to_thread(self._in_force)
                if tables != self._tables:
                    await self._show(tables)
            except TransientError as error:
                log.warning("the generations in force cannot be followed", error=error.what)

    async def zones(self) -> None:
        while True:
            await asyncio.sleep(ZONES_SECONDS)
            try:
                self._hub.zones(await asyncio.to_thread(snapshot.zones, self._endpoints.clickhouse))
            except Exception as error:
                log.warning("time zones are not told", error=str(error))

    def end(self) -> None:
        """Blocks until the tail's thread has ended."""
        if self._tail is not None and self._thread is not None:
            self._tail.stop()
            self._thread.join()
        self._control.close()

    def _in_force(self) -> tuple[Table, ...]:
        try:
            chosen = pointers(self._control)
        except SQLAlchemyError as error:
            raise TransientError(f"the control database does not answer: {error.__cause__ or error}", "is MySQL running?") from error
        return tuple(replace(table, generation=chosen.get(table.name, 1)) for table in self._tables)

    async def _show(self, tables: tuple[Table, ...]) -> None:
        loop, tail = asyncio.get_running_loop(), Tail(self._endpoints.kafka, self._endpoints.registry, tables, {}, self._group)
        places, state = await asyncio.to_thread(self._load, tail, tables)
        if self._tail is not None and self._thread is not None:  # what it has handed over stands in the loop's queue, before us
            self._tail.stop()
            await asyncio.to_thread(self._thread.join)
        self._hub.show(state)

        def take(changes: list[Change]) -> None:
            loop.call_soon_threadsafe(self._hub.take, changes)

        self._tables, self._tail, self._thread = tables, tail, threading.Thread(target=tail.run, args=(places, take), name="tail")
        self._thread.start()
        log.info("showing", generations={table.name: table.generation for table in tables})

    def _load(self, tail: Tail, tables: Sequence[Table]) -> tuple[list[TopicPartition], State]:
        """The landers' offsets first, then what ClickHouse holds: what lands in between is read twice and counts once."""
        places = patiently(tail.landed)
        state = patiently(lambda: self._standing(tables))
        state.zones(patiently(lambda: snapshot.zones(self._endpoints.clickhouse)))
        return places, state

    def _standing(self, tables: Sequence[Table]) -> State:
        state = State()
        for change in snapshot.changes(self._endpoints.clickhouse, tables):
            state.apply(change)
        return state


def patiently(call: Callable[[], T]) -> T:
    """Calls again for two minutes while servers are away; blocks."""
    pause, limit = wait_exponential(multiplier=0.5, max=5), stop_after_delay(120)
    again = retry(retry=retry_if_exception_type(TransientError), stop=limit, wait=pause, reraise=True)
    return again(call)()
