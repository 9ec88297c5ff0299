"""The contract of each table as last applied: it distinguishes a dropped or renamed column from one that was
never described."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.mysql import insert

from core.clock import utc_now
from core.control import ControlDatabase
from core.control.models import AppliedContract
from schemas.table import Table


@dataclass(frozen=True)
class Applied:
    """`columns` maps a column's permanent id to its name at that time."""

    fingerprint: str
    columns: dict[int, str]


UNAPPLIED = Applied("", {})


def fingerprint(table: Table) -> str:
    return hashlib.sha256(repr(table).encode()).hexdigest()


def applied(control: ControlDatabase) -> dict[str, Applied]:
    """Returns the applied contracts by table name. Blocks on the control database."""
    with control.session() as session:
        rows = session.scalars(select(AppliedContract))
        return {
            row.table_name: Applied(
                row.fingerprint, {int(key): name for key, name in row.contract["columns"].items()}
            )
            for row in rows
        }


def save(control: ControlDatabase, table: Table) -> None:
    """Stores the table's contract as the applied one. Blocks on the control database."""
    columns = {str(column.id): column.name for column in table.columns}
    values = {
        "fingerprint": fingerprint(table),
        "contract": {"columns": columns, "declared": repr(table)},
        "applied_at": utc_now(),
    }
    with control.session() as session:
        row = insert(AppliedContract).values(table_name=table.name, **values)
        session.execute(row.on_duplicate_key_update(**values))


def view_lock(table: Table) -> str:
    """Held from reading the applied contract to recreating the view: `apply` and landers do both."""
    return f"view of {table.name}"
