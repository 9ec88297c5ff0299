"""Which tables need another snapshot, and which have had it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from connectors.snapshot_tracker import COMPLETED, LatestSnapshot
from core.control.table_health import NEEDS_SNAPSHOT, TableCondition
from schemas.table import Table

Collection = tuple[str, str, Table]
"""(server, database, contract)"""


def pending_resnapshot(
    states: Iterable[TableCondition], table: Table, database: str, newest: LatestSnapshot | None
) -> TableCondition | None:
    """The condition of the table in this database for which no snapshot was requested yet, if any.

    `newest` is None if none was ever requested.
    """
    concerned = (
        state for state in states if state.state == NEEDS_SNAPSHOT and state.concerns(table.name, database)
    )
    return next((state for state in concerned if newest is None or newest.requested_at <= state.since), None)


def completed(
    conditions: Iterable[TableCondition],
    collections: Sequence[Collection],
    snapshots: Mapping[str, Mapping[str, LatestSnapshot]],
) -> list[TableCondition]:
    """The conditions whose snapshots have completed.

    `snapshots` maps a server's name and ``database.table`` to the latest snapshot.
    """
    return [
        condition
        for condition in conditions
        if condition.state == NEEDS_SNAPSHOT and _is_completed(condition, collections, snapshots)
    ]


def _is_completed(
    condition: TableCondition,
    collections: Sequence[Collection],
    snapshots: Mapping[str, Mapping[str, LatestSnapshot]],
) -> bool:
    concerned = [
        snapshots[server].get(f"{database}.{table.name}")
        for server, database, table in collections
        if condition.concerns(table.name, database)
    ]
    return all(
        snapshot is not None and snapshot.status == COMPLETED and snapshot.requested_at > condition.since
        for snapshot in concerned
    )
