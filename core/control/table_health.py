"""Conditions of tables whose copies may be incomplete: set where changes were missed, cleared by a snapshot
or a verification."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.dialects.mysql import insert

from core.clock import utc_now
from core.control.database import ControlDatabase
from core.control.models import TableState

NEEDS_SNAPSHOT = "NEEDS_SNAPSHOT"
"""Rows changed without a change event. Cleared by a complete snapshot that was requested after `since`."""
NEEDS_VERIFICATION = "NEEDS_VERIFICATION"
"""Rows may have been deleted without a delete event. Cleared by a `verify` that finds the copies equal."""
REMEDIES = {
    NEEDS_SNAPSHOT: "`switchboard apply` requests the snapshot, whose completion clears this",
    NEEDS_VERIFICATION: "`switchboard verify --repair` clears this once the copies are equal",
}
ALL_SHARDS = "*"


@dataclass(frozen=True)
class TableCondition:
    """`shard` is ``*`` for all shards; `since` is in UTC."""

    table: str
    shard: str
    state: str
    reason: str
    since: dt.datetime

    def concerns(self, table: str, shard: str) -> bool:
        return self.table == table and self.shard in (shard, ALL_SHARDS)


def set_condition(control: ControlDatabase, table: str, shard: str, state: str, reason: str) -> None:
    """Sets the condition from now on. Idempotent. Blocks for the control database."""
    values = {"reason": reason[:2000], "since": utc_now()}
    with control.session() as session:
        row = insert(TableState).values(table_name=table, shard=shard, state=state, **values)
        session.execute(row.on_duplicate_key_update(**values))


def conditions(control: ControlDatabase) -> list[TableCondition]:
    """All conditions, by table and shard. Blocks for the control database."""
    with control.session() as session:
        rows = session.scalars(
            select(TableState).order_by(TableState.table_name, TableState.shard, TableState.state)
        )
        return [TableCondition(row.table_name, row.shard, row.state, row.reason, row.since) for row in rows]


def clear_condition(control: ControlDatabase, state: TableCondition) -> None:
    """Clears the condition, unless it was set again since it was read. Blocks for the control database."""
    chosen = (
        TableState.table_name == state.table,
        TableState.shard == state.shard,
        TableState.state == state.state,
    )
    with control.session() as session:
        session.execute(delete(TableState).where(*chosen, TableState.since == state.since))
