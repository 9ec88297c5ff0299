"""Finds the tables of which Debezium skipped changes that it could not process, and marks them.

`connectors/plugin/TableIsolation.java` reports them in the notification topic (decision 37).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from connectors.cursors import cursor, move_cursor
from connectors.notifications import read_notifications
from core import logging
from core.control import ControlDatabase
from core.control.models import SkippedChangeCursor
from core.control.table_health import NEEDS_SNAPSHOT, NEEDS_VERIFICATION, set_condition
from core.settings import Endpoints

SKIPPED = "changes were skipped: "
"""The beginning of the reason of each condition that skipped changes cause."""
CORRECTED = "the definition was read from MySQL, and the rows are read again"
REASONS = {
    "PARTIAL_ROW": (
        "a session does not log all columns (binlog_row_image is MINIMAL or NOBLOB); "
        "set it to FULL in every session"
    ),
    "ROW": "a row cannot be read: {detail}; correct the row, or leave the table out of the contracts",
    "STATEMENT": f"Debezium cannot process {{detail}}; {CORRECTED}",
    "DEFINITION": (
        "the definition cannot be read: {detail}; alter the table, or leave it out of the contracts"
    ),
    "UNKNOWN_TABLE": f"it was created without the binlog; {CORRECTED}",
    "UNKNOWN_DEFINITION": f"it was altered without the binlog; {CORRECTED}",
}
ROLLED_BACK = (
    "changes of a prepared transaction have landed, and {detail} took them back: "
    "run `switchboard verify --repair` for the table"
)

log = logging.get("connectors")


@dataclass(frozen=True)
class SkippedChange:
    """`reason` says what was skipped, why, and what to do."""

    database: str
    table: str
    reason: str
    needs_snapshot: bool = True


@dataclass(frozen=True)
class NewSkippedChanges:
    """What follows the cursor in a server's notifications, one change for each table.

    `last` is the offset of the newest notification, -1 if there is none after the cursor.
    """

    server: str
    changes: tuple[SkippedChange, ...]
    last: int


def new_skipped_changes(endpoints: Endpoints, control: ControlDatabase, server: str) -> NewSkippedChanges:
    """Finds the skipped changes that are not recorded, and changes nothing.

    Blocks for Kafka and the control database.
    """
    last = -1
    found: dict[tuple[str, str], SkippedChange] = {}
    since = cursor(control, SkippedChangeCursor, server) + 1
    for offset, record in read_notifications(endpoints, server, since):
        last = offset
        for change in skipped_changes(record):
            known = found.get((change.database, change.table))
            if change.needs_snapshot or known is None or not known.needs_snapshot:
                found[(change.database, change.table)] = change
    return NewSkippedChanges(server, tuple(found.values()), last)


def skipped_changes(notification: dict[str, Any]) -> Iterator[SkippedChange]:
    """The change that a notification reports, if it reports one."""
    if notification.get("aggregate_type") != "Table":
        return
    data = notification.get("additional_data") or {}
    kind = str(notification.get("type"))
    rolled_back = kind == "ROLLED_BACK"
    reason = ROLLED_BACK if rolled_back else SKIPPED + REASONS.get(kind, "{detail}")
    yield SkippedChange(
        str(data.get("database")),
        str(data.get("table")),
        reason.replace("{detail}", " ".join(str(data.get("detail")).split())),
        needs_snapshot=not rolled_back,
    )


def record_skipped_changes(control: ControlDatabase, new: NewSkippedChanges) -> None:
    """Marks the tables and moves the cursor. Idempotent. Blocks for the control database."""
    for change in new.changes:
        log.error(
            "changes missing or taken back", table=f"{change.database}.{change.table}", reason=change.reason
        )
        states = (NEEDS_SNAPSHOT, NEEDS_VERIFICATION) if change.needs_snapshot else (NEEDS_VERIFICATION,)
        for state in states:
            set_condition(control, change.table, change.database, state, change.reason)
    if new.last >= 0:
        move_cursor(control, SkippedChangeCursor, new.server, new.last)
