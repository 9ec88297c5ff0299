"""What stands between a table of one shard and being known equal: said once, shown everywhere, cleared by proof."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.dialects.mysql import insert

from core.control.database import ControlDatabase
from core.control.models import TableState, utc_now

BACKFILL = "BACKFILL"
"""Rows changed without a change event: a snapshot that is asked for later than `since` makes up for it."""
FROZEN = "FROZEN"
"""Rows may have gone without a delete event: `verify` has to find the copies equal, by repair if need be."""
REMEDIES = {
    BACKFILL: "`switchboard apply` asks for the snapshot; the state goes once it is read",
    FROZEN: "`switchboard verify --repair`; the state goes once the copies are found equal",
}
EVERY_SHARD = "*"


@dataclass(frozen=True)
class Standing:
    table: str
    shard: str
    state: str
    reason: str
    since: dt.datetime

    def concerns(self, table: str, shard: str) -> bool:
        return self.table == table and self.shard in (shard, EVERY_SHARD)


def mark(control: ControlDatabase, table: str, shard: str, state: str, reason: str) -> None:
    """Remembers the state, from now on. Blocks on the control database; safe to repeat."""
    values = {"reason": reason[:2000], "since": utc_now()}
    with control.session() as session:
        row = insert(TableState).values(table_name=table, shard=shard, state=state, **values)
        session.execute(row.on_duplicate_key_update(**values))


def standing(control: ControlDatabase) -> list[Standing]:
    """Every state there is, by table and shard."""
    with control.session() as session:
        rows = session.scalars(select(TableState).order_by(TableState.table_name, TableState.shard, TableState.state))
        return [Standing(row.table_name, row.shard, row.state, row.reason, row.since) for row in rows]


def clear(control: ControlDatabase, state: Standing) -> None:
    """Forgets the state, unless it was marked anew since it was read."""
    chosen = (TableState.table_name == state.table, TableState.shard == state.shard, TableState.state == state.state)
    with control.session() as session:
        session.execute(delete(TableState).where(*chosen, TableState.since == state.since))
