"""Which tables a new config of a connector stops capturing, and which it captures again: changes in between
are lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from core.control import ControlDatabase
from core.control.models import Run, utc_now
from schemas.render.connect import TABLES, captures

CAPTURE = "capture"
TableName = tuple[str, str]
"""(database, table)"""


@dataclass(frozen=True)
class CaptureChanges:
    stopped: tuple[TableName, ...] = ()
    resumed: tuple[TableName, ...] = ()
    """Captured before, then not, and now again."""


def capture_changes(
    before: Mapping[str, str] | None,
    wanted: Mapping[str, str],
    tables: Iterable[TableName],
    loaded: Collection[str],
) -> CaptureChanges:
    """The changes from config `before` to `wanted`.

    `tables` exist on the server; `loaded` are the ``database.table`` names that were ever snapshotted.
    """
    if before is None:
        return CaptureChanges()
    stopped: list[TableName] = []
    resumed: list[TableName] = []
    for database, table in sorted(tables):
        was = captures(before, database, table)
        will = captures(wanted, database, table)
        if was and not will:
            stopped.append((database, table))
        if will and not was and f"{database}.{table}" in loaded:
            resumed.append((database, table))
    return CaptureChanges(tuple(stopped), tuple(resumed))


def save_capture(control: ControlDatabase, server: str, config: Mapping[str, str]) -> None:
    """Saves which tables the server's connector captures from now on, as the connector itself may be
    deleted."""
    with control.session() as session:
        detail = {TABLES: config[TABLES]}
        session.add(Run(kind=CAPTURE, subject=server, status="COMPLETED", detail=detail, ended_at=utc_now()))


def saved_capture(control: ControlDatabase, server: str) -> dict[str, str] | None:
    with control.session() as session:
        run = session.scalar(
            select(Run).where(Run.kind == CAPTURE, Run.subject == server).order_by(Run.id.desc()).limit(1)
        )
        return None if run is None else {TABLES: str(run.detail[TABLES])}
