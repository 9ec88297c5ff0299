"""How far this platform has read the topics of a server's Debezium, in the control database."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import func
from sqlalchemy.dialects.mysql import insert

from core.clock import utc_now
from core.control import ControlDatabase
from core.control.models import SchemaChangeCursor, SkippedChangeCursor

CursorT = TypeVar("CursorT", SchemaChangeCursor, SkippedChangeCursor)


def cursor(control: ControlDatabase, model: type[CursorT], server: str) -> int:
    """The offset of the newest record that was read, -1 if none was. Blocks for the control database."""
    with control.session() as session:
        found = session.get(model, server)
        return -1 if found is None else found.offset


def move_cursor(control: ControlDatabase, model: type[CursorT], server: str, offset: int) -> None:
    """Moves the cursor, never backwards: two commands may do so at once. Blocks for the control database."""
    row = insert(model).values(server=server, offset=offset, moved_at=utc_now())
    newest = func.greatest(model.offset, row.inserted.offset)
    with control.session() as session:
        session.execute(row.on_duplicate_key_update(offset=newest, moved_at=row.inserted.moved_at))
