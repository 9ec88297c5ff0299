"""Which shards are put aside, by whom and why: the control database's memory, read wherever a connector's config is rendered."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import select, update

from core.control import ControlDatabase
from core.control.models import Run, utc_now

QUARANTINE = "quarantine"
ACTIVE, RELEASED = "ACTIVE", "RELEASED"


@dataclass(frozen=True)
class Aside:
    """`alone` is whether the watch has put it aside by itself."""

    server: str
    database: str
    reason: str
    since: dt.datetime
    alone: bool


def aside(control: ControlDatabase) -> list[Aside]:
    """Every shard that is put aside now. Blocks on the control database."""
    with control.session() as session:
        runs = session.scalars(select(Run).where(Run.kind == QUARANTINE, Run.status == ACTIVE).order_by(Run.subject, Run.id))
        return [_read(run) for run in runs]


def _read(run: Run) -> Aside:
    server, _, database = run.subject.partition("/")
    return Aside(server, database, str(run.detail["reason"]), run.started_at, bool(run.detail["alone"]))


def put(control: ControlDatabase, server: str, database: str, reason: str, *, alone: bool = False) -> None:
    """Safe to repeat: the first reason stays."""
    if any((item.server, item.database) == (server, database) for item in aside(control)):
        return
    with control.session() as session:
        detail = {"reason": reason[:2000], "alone": alone}
        session.add(Run(kind=QUARANTINE, subject=f"{server}/{database}", status=ACTIVE, detail=detail))


def take_back(control: ControlDatabase, server: str, database: str) -> None:
    mine = (Run.kind == QUARANTINE, Run.subject == f"{server}/{database}", Run.status == ACTIVE)
    with control.session() as session:
        session.execute(update(Run).where(*mine).values(status=RELEASED, ended_at=utc_now()))
