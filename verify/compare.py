"""Whether two rows are equal, by canonical values: floats as numbers, JSON parsed, everything else by its bytes."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

from schemas import types as t
from schemas.privacy import Public
from schemas.render.landing import placing_columns
from schemas.table import Column, Table
from verify.results import ColumnDifference, Place, RowDifference, Values


def equal_values(column: Column, left: bytes | None, right: bytes | None) -> bool:
    if left == right:
        return True
    if left is None or right is None:
        return False
    match column.type:
        case t.Float():
            return float(left) == float(right)
        case t.Json():
            return _equal_json(left, right)
        case _:
            return False


def _equal_json(left: bytes, right: bytes) -> bool:
    try:
        return _same(json.loads(left), json.loads(right))
    except ValueError:
        return False


def _same(left: Any, right: Any) -> bool:
    """JSON equality: ``true`` is not 1, and 1 is 1.0."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def key_differences(table: Table, rows: Sequence[Values], places: Sequence[Place]) -> list[RowDifference]:
    """In what the sides disagree about one key; none if they are equal. Values are masked where their column is not public.

    ClickHouse may show a key at several places, of which the source's row belongs in one: the others are extra.
    """
    if [place.values for place in places] == list(rows):
        return []
    lacking, left = list(rows), list(places)
    for row in rows:
        if (equal := next((place for place in left if not _differing(table.columns, row, place.values)), None)) is not None:
            lacking.remove(row)
            left.remove(equal)
    found = []
    for row in lacking:
        place = next((place for place in left if not _moved(table, row, place)), left[0] if left else None)
        if place is not None:
            left.remove(place)
        found.append(_difference(table, row, place))
    return found + [_extra(table, place, rows[0] if rows else None) for place in left]


def _difference(table: Table, row: Values, place: Place | None) -> RowDifference:
    if place is None:
        return RowDifference("missing in ClickHouse", _key(table, row), (), row, None, None)
    columns = _differing(table.columns, row, place.values)
    return RowDifference("differs", _key(table, row), columns, row, place.values, place.version, astray=bool(_moved(table, row, place)))


def _extra(table: Table, place: Place, row: Values | None) -> RowDifference:
    """`row` is what MySQL has of the key, at another place."""
    columns = () if row is None else _moved(table, row, place)
    return RowDifference("extra in ClickHouse", _key(table, place.values), columns, row, place.values, place.version, astray=True)


def _moved(table: Table, row: Values, place: Place) -> tuple[ColumnDifference, ...]:
    placing = [table.column(name) for name in placing_columns(table)]
    return _differing(placing, *(tuple(values[table.names.index(c.name)] for c in placing) for values in (row, place.values)))


def _differing(columns: Sequence[Column], left: Values, right: Values) -> tuple[ColumnDifference, ...]:
    return tuple(
        ColumnDifference(column.name, shown(column, one), shown(column, other))
        for column, one, other in zip(columns, left, right, strict=True)
        if not equal_values(column, one, other)
    )


def _key(table: Table, values: Values) -> tuple[tuple[str, str | None], ...]:
    return tuple((name, shown(table.column(name), values[table.names.index(name)])) for name in table.key)


LONGEST_SHOWN = 200


def shown(column: Column, value: bytes | None) -> str | None:
    """A value for a person: never the content of a column that is not public."""
    if value is None:
        return None
    if not isinstance(column.privacy, Public):
        return f"<{len(value.decode(errors='replace'))} chars>"
    text = _readable(column.type, value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… ({len(text)} chars)"


def _readable(kind: t.Type, value: bytes) -> str:
    text = value.decode(errors="replace")
    match kind:
        case t.Binary():
            return f"0x{value.hex()}"
        case t.Date() if text.lstrip("-").isdigit():
            return _safely(lambda: (dt.date(1970, 1, 1) + dt.timedelta(days=int(text))).isoformat(), text)
        case t.DateTime() | t.Timestamp() if text.lstrip("-").isdigit():
            moment = dt.datetime(1970, 1, 1)
            return _safely(lambda: (moment + dt.timedelta(microseconds=int(text))).isoformat(" "), text)
        case _:
            return text


def _safely(render: Any, otherwise: str) -> str:
    """Years beyond 9999 are shown as they came."""
    try:
        return str(render())
    except OverflowError:
        return otherwise
