"""From a table's state to the snapshots that make up for it, and back to no state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from connectors.loads import COMPLETED, Newest
from core.control import ControlDatabase
from core.control.states import BACKFILL, EVERY_SHARD, Standing, clear
from schemas.table import Table

Collection = tuple[str, str, Table]
"""(server, database, contract)"""


def due(states: Iterable[Standing], table: Table, database: str, newest: Newest) -> Standing | None:
    """The state for which a snapshot of the table in this database has yet to be asked."""
    mine = (state for state in states if state.state == BACKFILL and state.concerns(table.name, database))
    return next((state for state in mine if newest.asked_at <= state.since), None)


def settle(
    control: ControlDatabase,
    states: Iterable[Standing],
    collections: Sequence[Collection],
    loads: Mapping[tuple[str, str], Newest],
) -> None:
    """Clears the states whose snapshots are read. `loads` goes from (server, ``database.table``) to the newest load."""
    for state in states:
        if state.state != BACKFILL:
            continue
        concerned = [
            loads.get((server, f"{database}.{table.name}"))
            for server, database, table in collections
            if state.concerns(table.name, database) and state.shard in (database, EVERY_SHARD)
        ]
        if all(load is not None and load.status == COMPLETED and load.asked_at > state.since for load in concerned):
            clear(control, state)
