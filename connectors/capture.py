"""Which tables a new config of a connector stops capturing, and which it captures again: changes in between
are lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy.dialects.mysql import insert

from core.clock import utc_now
from core.control import ControlDatabase
from core.control.models import CapturedTables
from schemas.render.connect import TABLES, captures

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
    values = {"include_list": config[TABLES], "applied_at": utc_now()}
    row = insert(CapturedTables).values(server=server, **values)
    with control.session() as session:
        session.execute(row.on_duplicate_key_update(**values))


def saved_capture(control: ControlDatabase, server: str) -> dict[str, str] | None:
    """Returns the saved part of the connector's config; None if nothing was saved."""
    with control.session() as session:
        saved = session.get(CapturedTables, server)
        return None if saved is None else {TABLES: saved.include_list}
