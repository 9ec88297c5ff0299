"""Which tables leave a connector, and which come back to it: between the two, what they change is read by nobody."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from core.control import ControlDatabase
from core.control.models import Run, utc_now
from schemas.render.connect import TABLES, takes

CAPTURE = "capture"
Place = tuple[str, str]
"""(database, table)"""


@dataclass(frozen=True)
class Moves:
    left: tuple[Place, ...] = ()
    back: tuple[Place, ...] = ()
    """Those that were read before, left, and are to be read on."""


def moves(before: Mapping[str, str] | None, wanted: Mapping[str, str], places: Iterable[Place], loaded: Collection[str]) -> Moves:
    """From one config to the next. `places` stand on the server; `loaded` are the ``database.table`` that were read at any time."""
    if before is None:
        return Moves()
    left, back = [], []
    for database, table in sorted(places):
        was, will = takes(before, database, table), takes(wanted, database, table)
        if was and not will:
            left.append((database, table))
        if will and not was and f"{database}.{table}" in loaded:
            back.append((database, table))
    return Moves(tuple(left), tuple(back))


def remember(control: ControlDatabase, server: str, config: Mapping[str, str]) -> None:
    """What the server's connector takes in from now on; remembered, as the connector itself may be deleted."""
    with control.session() as session:
        detail = {TABLES: config[TABLES]}
        session.add(Run(kind=CAPTURE, subject=server, status="COMPLETED", detail=detail, ended_at=utc_now()))


def remembered(control: ControlDatabase, server: str) -> dict[str, str] | None:
    with control.session() as session:
        run = session.scalar(select(Run).where(Run.kind == CAPTURE, Run.subject == server).order_by(Run.id.desc()).limit(1))
        return None if run is None else {TABLES: str(run.detail[TABLES])}
