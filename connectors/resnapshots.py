"""Which tables need another snapshot, and which have had it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from connectors.snapshot_tracker import COMPLETED, LatestSnapshot
from core.control import ControlDatabase
from core.control.table_health import ALL_SHARDS, NEEDS_SNAPSHOT, TableCondition, clear_condition
from schemas.table import Table

Collection = tuple[str, str, Table]
"""(server, database, contract)"""


def pending_resnapshot(
    states: Iterable[TableCondition], table: Table, database: str, newest: LatestSnapshot
) -> TableCondition | None:
    """The condition of the table in this database for which no snapshot was requested yet, if any."""
    concerned = (
        state for state in states if state.state == NEEDS_SNAPSHOT and state.concerns(table.name, database)
    )
    return next((state for state in concerned if newest.requested_at <= state.since), None)


def clear_completed(
    control: ControlDatabase,
    states: Iterable[TableCondition],
    collections: Sequence[Collection],
    snapshots: Mapping[tuple[str, str], LatestSnapshot],
) -> None:
    """Clears the conditions whose snapshots have completed. Blocks for the control database.

    `snapshots` maps (server, ``database.table``) to the latest snapshot.
    """
    for state in states:
        if state.state != NEEDS_SNAPSHOT:
            continue
        concerned = [
            snapshots.get((server, f"{database}.{table.name}"))
            for server, database, table in collections
            if state.concerns(table.name, database) and state.shard in (database, ALL_SHARDS)
        ]
        if all(
            snapshot is not None and snapshot.status == COMPLETED and snapshot.requested_at > state.since
            for snapshot in concerned
        ):
            clear_condition(control, state)
