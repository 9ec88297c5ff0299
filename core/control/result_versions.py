"""The generations of computed tables: the active one, by a single pointer, and the others."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.mysql import insert

from core.clock import utc_now
from core.control.database import ControlDatabase
from core.control.models import ResultGeneration, ResultPointer

PLANNED = "PLANNED"
"""Nothing of it exists yet."""
RUNNING = "RUNNING"
"""Its table and topic exist, and its job runs or is being started."""
READY = "READY"
"""It has caught up once: it may become the active generation."""
DROPPED = "DROPPED"


@dataclass(frozen=True)
class Generation:
    table: str
    number: int
    state: str
    start_time: dt.datetime | None
    """In UTC; see `ResultGeneration.start_time`."""


@dataclass(frozen=True)
class ActiveVersion:
    generation: int
    previous: int


def generations(control: ControlDatabase, table: str | None = None) -> list[Generation]:
    """Returns every generation ever planned, by table and number; a table's first is listed only once it is
    dropped."""
    chosen = select(ResultGeneration).order_by(ResultGeneration.table_name, ResultGeneration.generation)
    if table is not None:
        chosen = chosen.where(ResultGeneration.table_name == table)
    with control.session() as session:
        return [
            Generation(row.table_name, row.generation, row.state, row.start_time)
            for row in session.scalars(chosen)
        ]


def save(control: ControlDatabase, generation: Generation) -> None:
    values = {"state": generation.state, "start_time": generation.start_time, "changed_at": utc_now()}
    with control.session() as session:
        row = insert(ResultGeneration).values(
            table_name=generation.table, generation=generation.number, **values
        )
        session.execute(row.on_duplicate_key_update(**values))


def active_version(control: ControlDatabase, table: str) -> ActiveVersion:
    with control.session() as session:
        row = session.get(ResultPointer, table)
        return ActiveVersion(1, 1) if row is None else ActiveVersion(row.generation, row.previous)


def active_versions(control: ControlDatabase) -> dict[str, int]:
    """Returns table -> active generation; tables in their first generation may be absent."""
    with control.session() as session:
        return {row.table_name: row.generation for row in session.scalars(select(ResultPointer))}


def activate(control: ControlDatabase, table: str, generation: int) -> None:
    """Makes the generation active and stores the previous one. Idempotent; blocks on the control database."""
    before = active_version(control, table)
    if before.generation == generation:
        return
    values = {"generation": generation, "previous": before.generation, "moved_at": utc_now()}
    with control.session() as session:
        session.execute(
            insert(ResultPointer).values(table_name=table, **values).on_duplicate_key_update(**values)
        )


def materialised_generations(control: ControlDatabase) -> dict[str, list[int]]:
    """Returns, by table, the generations that have a topic and a table; a table that was never backfilled,
    which has its first, is absent.

    Blocks on the control database, for one query.
    """
    states: dict[str, dict[int, str]] = {}
    for generation in generations(control):
        states.setdefault(generation.table, {1: READY})[generation.number] = generation.state
    return {
        table: sorted(number for number, state in known.items() if state in (RUNNING, READY))
        for table, known in states.items()
    }
