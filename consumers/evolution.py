"""The contract's policy for columns that it does not describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from core import logging
from core.errors import PoisonError, StoppedError
from schemas.render.avro import Field, evolved, landable
from schemas.table import Table

log = logging.get("lander")


class DiscardedError(PoisonError):
    """The contract's policy makes the record a dead letter: it is no error, and does not count towards
    stopping the table."""


def evolve(
    table: Table,
    schema_id: int,
    fields: tuple[Field, ...],
    unknown: tuple[Field, ...],
    column_names: Mapping[str, str],
) -> Table:
    """Returns the table to land in. `column_names` has those of fields whose names differ.

    Raises StoppedError (`freeze`) or DiscardedError (`discard_row`).
    """
    if not unknown:
        return table
    names = ", ".join(repr(column_names.get(field.name, field.name)) for field in unknown)
    match table.unknown_column:
        case "evolve":
            for field in unknown:
                if not landable(field):
                    log.warning(
                        "column cannot be landed and is left out",
                        table=table.name,
                        column=field.name,
                        type=field.logical,
                    )
            return evolved(table, fields, column_names)
        case "discard_value":
            return table
        case "freeze":
            raise StoppedError(
                f"table {table.name!r}: schema id {schema_id} brings column {names}, which the contract "
                "does not describe",
                "describe it in the contract, or change the contract's unknown_column; then `switchboard "
                "apply`",
            )
        case "discard_row":
            raise DiscardedError(f"column {names} is unknown and the contract's policy is discard_row")
        case _:
            assert_never(table.unknown_column)
