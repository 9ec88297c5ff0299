"""The quarantined shards, with the reason, in the control database.

Read wherever a connector's config is rendered.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import select, update

from core.clock import utc_now
from core.control import ControlDatabase
from core.control.models import Quarantine

MAX_REASON_CHARS = 2000


@dataclass(frozen=True)
class QuarantinedShard:
    """`automatic`: quarantined by the supervisor, not by an operator. `since` is in UTC."""

    server: str
    database: str
    reason: str
    since: dt.datetime
    automatic: bool


def list_quarantined(control: ControlDatabase) -> list[QuarantinedShard]:
    """Every shard that is quarantined now, by server and database. Blocks for the control database."""
    active = (
        select(Quarantine)
        .where(Quarantine.released_at.is_(None))
        .order_by(Quarantine.server, Quarantine.shard, Quarantine.id)
    )
    with control.session() as session:
        return [
            QuarantinedShard(row.server, row.shard, row.reason, row.since, row.automatic)
            for row in session.scalars(active)
        ]


def add(
    control: ControlDatabase, server: str, database: str, reason: str, *, automatic: bool = False
) -> None:
    """Quarantines a shard. Idempotent: the first reason stays. Blocks for the control database."""
    if any((item.server, item.database) == (server, database) for item in list_quarantined(control)):
        return
    row = Quarantine(server=server, shard=database, reason=reason[:MAX_REASON_CHARS], automatic=automatic)
    with control.session() as session:
        session.add(row)


def remove(control: ControlDatabase, server: str, database: str) -> None:
    """Releases a shard; does nothing if it is not quarantined. Blocks for the control database."""
    active = (Quarantine.server == server, Quarantine.shard == database, Quarantine.released_at.is_(None))
    with control.session() as session:
        session.execute(update(Quarantine).where(*active).values(released_at=utc_now()))
