"""The streamer: composes queries, live views and the servers, and runs them until it is stopped."""

from __future__ import annotations

import asyncio

from core import logging
from core.errors import TransientError
from core.settings import Context, StreamerSettings
from core.shutdown import LIMIT_SECONDS, SIGNALS, end_within
from schemas.catalog import Catalog
from streamer.analytics import Analytics
from streamer.auth import Authenticator
from streamer.listeners import Listeners
from streamer.sample.live_views import LiveViews, live_tables

log = logging.get("streamer")


class Streamer:
    """Serves the queries of every catalog, and the live views if the catalog has their tables."""

    def __init__(self, context: Context, settings: StreamerSettings, catalog: Catalog) -> None:
        """Raises MisconfiguredError if the catalog has only some of the live views' tables."""
        self._settings = settings
        tables = live_tables(catalog)
        self._live_views = LiveViews(context, catalog, tables) if tables else None
        self._authenticator = Authenticator(settings)
        self._analytics = Analytics(context.endpoints.clickhouse, catalog, settings)

    async def run(self) -> None:
        """Serves until a signal, then ends streams within `drain_seconds`."""
        stop = asyncio.Event()
        self._stop_on_signal(stop)
        live_views = self._live_views
        supervisor = None if live_views is None else live_views.supervisor
        listeners = Listeners(self._settings, self._authenticator, supervisor, self._analytics)
        listeners.bind()
        if live_views is None:
            log.info("no contract declares the live views' tables: only queries are served")
        else:
            await live_views.start()
        try:
            serving = await listeners.start()
            work = [asyncio.create_task(part) for part in (live_views.work() if live_views else ())]
            log.info("serving", page=listeners.page, grpc=listeners.grpc)
            await _until_stopped(stop, [serving, *work])
            await listeners.stop()
            await self._analytics.close()
            for task in work:
                task.cancel()
        finally:
            if live_views is not None:
                live_views.close()
            log.info("stopped serving")

    def _stop_on_signal(self, stop: asyncio.Event) -> None:
        """The process ends soon after `drain_seconds`, whatever a thread still waits for."""
        limit = max(LIMIT_SECONDS, self._settings.drain_lead_seconds + self._settings.drain_seconds + 0.5)

        def close() -> None:
            stop.set()
            end_within(limit)

        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, close)


async def _until_stopped(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Waits for `stop`; raises the error of a task that ends before."""
    waiting = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        if task is not waiting:
            task.result()
            raise TransientError("the web server ended unexpectedly", "see the log above")
