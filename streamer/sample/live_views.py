"""The live views as a whole: their state, what keeps it new, and the service on it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from core.errors import MisconfiguredError
from core.retrying import retry_transient
from core.settings import Context
from schemas.catalog import Catalog
from schemas.table import Computed, Table
from streamer.sample.alert_store import AlertStore
from streamer.sample.hub import Hub
from streamer.sample.service import Supervisor
from streamer.sample.state import TABLES, State
from streamer.sample.state_loader import START_SECONDS, StateLoader
from streamer.sample.tenant import ACTIVITIES
from streamer.sample.timeline import TimelineReader

ALERTS = "alerts"


def live_tables(catalog: Catalog) -> tuple[Table, ...]:
    """Returns the tables of the live views; none if no job computes any of them.

    Raises MisconfiguredError if the catalog has some of them, but not all.
    """
    known = {table.name: table for table in catalog if _is_live(table)}
    lacking = [name for name in TABLES if name not in known]
    if known.keys() <= {ACTIVITIES}:
        return ()
    if lacking:
        raise MisconfiguredError(
            f"there is no contract of {', '.join(lacking)}",
            f"the live views need {', '.join(TABLES)}; without any of the computed ones, only queries are "
            "served",
        )
    return tuple(known[name] for name in TABLES)


def _is_live(table: Table) -> bool:
    return table.name in TABLES and isinstance(table.source, Computed) == (table.name != ACTIVITIES)


class LiveViews:
    """Used from one event loop: `start`, then `work` until it is cancelled; `close` in any case."""

    def __init__(self, context: Context, catalog: Catalog, tables: tuple[Table, ...]) -> None:
        """`tables` are those of `live_tables`."""
        self._alert_store = next(
            (AlertStore(context.endpoints, table) for table in catalog.computed if table.name == ALERTS), None
        )
        self._hub = Hub(State()) if self._alert_store is None else Hub(State(), self._alert_store.write)
        self._loader = StateLoader(context, tables, self._hub)
        self.supervisor = Supervisor(self._hub, TimelineReader(context.endpoints.clickhouse))

    async def start(self) -> None:
        """Loads the state. Raises TransientError if the servers are unavailable for two minutes."""
        await self._loader.start()
        if self._alert_store is not None:
            active = await asyncio.to_thread(retry_transient, self._alert_store.load_active, START_SECONDS)
            self._hub.restore_alerts(active)

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """Returns what has to run as long as the views are served."""
        return [self._hub.run(), self._loader.follow_generations(), self._loader.refresh_time_zones()]

    def close(self) -> None:
        """Blocks until the readers have ended and the alerts are written, 10 s at most."""
        self._loader.close()
        if self._alert_store is not None:
            self._alert_store.close()
