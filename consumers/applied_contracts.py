"""The contract of each table as last applied: it distinguishes a dropped or renamed column from one that was
never described."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.dialects.mysql import insert

from core.clock import utc_now
from core.control import ControlDatabase
from core.control.models import AppliedContract
from schemas import types as t
from schemas.render.zero_dates import describe
from schemas.table import Table


@dataclass(frozen=True)
class Applied:
    """`columns` maps a column's permanent id to its name at that time, `zero_dates` to what zero dates
    became. `key` is empty if it is not known."""

    fingerprint: str
    columns: dict[int, str]
    zero_dates: dict[int, str] = field(default_factory=dict)
    key: tuple[str, ...] = ()


UNAPPLIED = Applied("", {})


def fingerprint(table: Table) -> str:
    return hashlib.sha256(repr(table).encode()).hexdigest()


def applied(control: ControlDatabase) -> dict[str, Applied]:
    """Returns the applied contracts by table name. Blocks on the control database."""
    with control.session() as session:
        rows = session.scalars(select(AppliedContract))
        return {
            row.table_name: Applied(
                row.fingerprint,
                _by_id(row.contract["columns"]),
                _by_id(row.contract.get("zero_dates", {})),
                tuple(row.contract.get("key", ())),
            )
            for row in rows
        }


def _by_id(stored: dict[str, str]) -> dict[int, str]:
    return {int(key): value for key, value in stored.items()}


def save(control: ControlDatabase, table: Table) -> None:
    """Stores the table's contract as the applied one. Blocks on the control database."""
    columns = {str(column.id): column.name for column in table.columns}
    values = {
        "fingerprint": fingerprint(table),
        "contract": {
            "columns": columns,
            "key": table.key,
            "zero_dates": {str(key): value for key, value in zero_dates(table).items()},
            "declared": repr(table),
        },
        "applied_at": utc_now(),
    }
    with control.session() as session:
        row = insert(AppliedContract).values(table_name=table.name, **values)
        session.execute(row.on_duplicate_key_update(**values))


def zero_dates(table: Table) -> dict[int, str]:
    """Returns what a zero date of each column becomes, by the column's permanent id."""
    return {column.id: describe(column) for column in table.columns if isinstance(column.type, t.Dated)}


def view_lock(table: Table) -> str:
    """Held from reading the applied contract to recreating the view: `apply` and landers do both."""
    return f"view of {table.name}"
