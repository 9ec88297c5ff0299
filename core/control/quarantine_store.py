"""The quarantined shards, with the reason, in the control database.

Read wherever a connector's config is rendered.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import select, update

from core.control import ControlDatabase
from core.control.models import Run, utc_now

QUARANTINE = "quarantine"
ACTIVE, RELEASED = "ACTIVE", "RELEASED"


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
    with control.session() as session:
        runs = session.scalars(
            select(Run).where(Run.kind == QUARANTINE, Run.status == ACTIVE).order_by(Run.subject, Run.id)
        )
        return [_read(run) for run in runs]


def _read(run: Run) -> QuarantinedShard:
    server, _, database = run.subject.partition("/")
    return QuarantinedShard(
        server, database, str(run.detail["reason"]), run.started_at, bool(run.detail["alone"])
    )


def add(
    control: ControlDatabase, server: str, database: str, reason: str, *, automatic: bool = False
) -> None:
    """Quarantines a shard. Idempotent: the first reason stays. Blocks for the control database."""
    if any((item.server, item.database) == (server, database) for item in list_quarantined(control)):
        return
    with control.session() as session:
        detail = {"reason": reason[:2000], "alone": automatic}
        session.add(Run(kind=QUARANTINE, subject=f"{server}/{database}", status=ACTIVE, detail=detail))


def remove(control: ControlDatabase, server: str, database: str) -> None:
    """Releases a shard; does nothing if it is not quarantined. Blocks for the control database."""
    active = (Run.kind == QUARANTINE, Run.subject == f"{server}/{database}", Run.status == ACTIVE)
    with control.session() as session:
        session.execute(update(Run).where(*active).values(status=RELEASED, ended_at=utc_now()))
