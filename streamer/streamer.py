"""The streamer: composes the live views, their state and the servers, and runs them until it is stopped."""

from __future__ import annotations

import asyncio

from core import logging
from core.errors import MisconfiguredError, TransientError
from core.retrying import retry_transient
from core.settings import Context, StreamerSettings
from core.shutdown import LIMIT_SECONDS, SIGNALS, end_within
from schemas.catalog import Catalog
from schemas.table import Table
from streamer.alert_store import AlertStore
from streamer.analytics import Analytics
from streamer.auth import Authenticator
from streamer.hub import Hub
from streamer.listeners import Listeners
from streamer.service import Supervisor
from streamer.state import TABLES, State
from streamer.state_loader import START_SECONDS, StateLoader
from streamer.timeline import TimelineReader

ALERTS = "alerts"
log = logging.get("streamer")


def result_tables(catalog: Catalog) -> tuple[Table, ...]:
    """Returns the tables of the live views. Raises MisconfiguredError if the catalog lacks one."""
    known = {table.name: table for table in catalog}
    if lacking := [name for name in TABLES if name not in known]:
        raise MisconfiguredError(
            f"there is no contract of {', '.join(lacking)}", "the live views need the jobs' result tables"
        )
    return tuple(known[name] for name in TABLES)


class Streamer:
    def __init__(self, context: Context, settings: StreamerSettings, catalog: Catalog) -> None:
        self._settings = settings
        self._alert_store = next(
            (AlertStore(context.endpoints, table) for table in catalog if table.name == ALERTS), None
        )
        self._hub = Hub(State()) if self._alert_store is None else Hub(State(), self._alert_store.write)
        self._loader = StateLoader(context, result_tables(catalog), self._hub)
        self._authenticator = Authenticator(settings)
        self._supervisor = Supervisor(self._hub, TimelineReader(context.endpoints.clickhouse))
        self._analytics = Analytics(context.endpoints.clickhouse, catalog, settings)

    async def run(self) -> None:
        """Serves until a signal, then ends streams within `drain_seconds`."""
        stop = asyncio.Event()
        self._stop_on_signal(stop)
        listeners = Listeners(self._settings, self._authenticator, self._supervisor, self._analytics)
        listeners.bind()
        await self._loader.start()
        if self._alert_store is not None:
            active = await asyncio.to_thread(retry_transient, self._alert_store.load_active, START_SECONDS)
            self._hub.restore_alerts(active)
        try:
            serving = await listeners.start()
            work = [
                asyncio.create_task(part)
                for part in (
                    self._hub.run(),
                    self._loader.follow_generations(),
                    self._loader.refresh_time_zones(),
                )
            ]
            log.info("serving", page=listeners.page, grpc=listeners.grpc)
            await _until_stopped(stop, [serving, *work])
            await listeners.stop()
            await self._analytics.close()
            for task in work:
                task.cancel()
        finally:
            self._loader.close()
            if self._alert_store is not None:
                self._alert_store.close()
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
