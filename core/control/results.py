"""The generations of computed tables: which one is in force, by the one pointer, and which others are there."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.mysql import insert

from core.control.database import ControlDatabase
from core.control.models import ResultGeneration, ResultPointer, utc_now

PLANNED = "PLANNED"
"""Nothing of it stands yet."""
RUNNING = "RUNNING"
"""Its table and topic stand, and its job runs or is about to."""
READY = "READY"
"""It has caught up once: the pointer may be moved to it."""
DROPPED = "DROPPED"


@dataclass(frozen=True)
class Generation:
    table: str
    number: int
    state: str
    begins: dt.datetime | None
    """In UTC; see `ResultGeneration.begins`."""


@dataclass(frozen=True)
class Pointer:
    generation: int
    previous: int


def generations(control: ControlDatabase, table: str | None = None) -> list[Generation]:
    """Those that were ever planned, by table and number; the first of a table is named only once it is dropped."""
    chosen = select(ResultGeneration).order_by(ResultGeneration.table_name, ResultGeneration.generation)
    if table is not None:
        chosen = chosen.where(ResultGeneration.table_name == table)
    with control.session() as session:
        return [Generation(row.table_name, row.generation, row.state, row.begins) for row in session.scalars(chosen)]


def remember(control: ControlDatabase, found: Generation) -> None:
    values = {"state": found.state, "begins": found.begins, "changed_at": utc_now()}
    with control.session() as session:
        row = insert(ResultGeneration).values(table_name=found.table, generation=found.number, **values)
        session.execute(row.on_duplicate_key_update(**values))


def pointer(control: ControlDatabase, table: str) -> Pointer:
    with control.session() as session:
        row = session.get(ResultPointer, table)
        return Pointer(1, 1) if row is None else Pointer(row.generation, row.previous)


def pointers(control: ControlDatabase) -> dict[str, int]:
    """Table -> the generation in force, of those that are not in their first."""
    with control.session() as session:
        return {row.table_name: row.generation for row in session.scalars(select(ResultPointer))}


def point(control: ControlDatabase, table: str, generation: int) -> None:
    """Moves the pointer, and remembers where it stood. Safe to repeat."""
    before = pointer(control, table)
    if before.generation == generation:
        return
    values = {"generation": generation, "previous": before.generation, "moved_at": utc_now()}
    with control.session() as session:
        session.execute(insert(ResultPointer).values(table_name=table, **values).on_duplicate_key_update(**values))


def materialised_generations(control: ControlDatabase) -> dict[str, list[int]]:
    """Returns, by table, the generations that have a topic and a table; a table that was never backfilled, which has its first, is absent.

    Blocks on the control database, for one query.
    """
    states: dict[str, dict[int, str]] = {}
    for found in generations(control):
        states.setdefault(found.table, {1: READY})[found.number] = found.state
    return {table: sorted(number for number, state in known.items() if state in (RUNNING, READY)) for table, known in states.items()}
