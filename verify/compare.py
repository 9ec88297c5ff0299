"""Compares two rows by canonical values: floats as numbers, JSON parsed, everything else by its bytes."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

from core.clock import EPOCH
from schemas import types as t
from schemas.privacy import Public
from schemas.render.landing import storage_key_columns
from schemas.table import Column, Table
from verify.results import ColumnDifference, RowDifference, StoredRow, Values


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


def key_differences(table: Table, rows: Sequence[Values], stored: Sequence[StoredRow]) -> list[RowDifference]:
    """The differences of one key, empty if the sides are equal. Values of columns that are not public are
    masked.

    ClickHouse may have several rows of a key under different storage keys. One of them is the source's row;
    the others are extra.
    """
    if [row.values for row in stored] == list(rows):
        return []
    missing = list(rows)
    unpaired = list(stored)
    for row in rows:
        equal = next((other for other in unpaired if not _differing(table.columns, row, other.values)), None)
        if equal is not None:
            missing.remove(row)
            unpaired.remove(equal)
    differences = []
    for row in missing:
        same_storage_key = (other for other in unpaired if not _moved(table, row, other))
        counterpart = next(same_storage_key, unpaired[0] if unpaired else None)
        if counterpart is not None:
            unpaired.remove(counterpart)
        differences.append(_difference(table, row, counterpart))
    return differences + [_extra(table, other, rows[0] if rows else None) for other in unpaired]


def _difference(table: Table, row: Values, stored: StoredRow | None) -> RowDifference:
    if stored is None:
        return RowDifference("missing in ClickHouse", _key(table, row), (), row, None, None)
    columns = _differing(table.columns, row, stored.values)
    moved = bool(_moved(table, row, stored))
    return RowDifference(
        "differs", _key(table, row), columns, row, stored.values, stored.version, unmatched=moved
    )


def _extra(table: Table, stored: StoredRow, row: Values | None) -> RowDifference:
    """`row` is MySQL's row of the key, whose storage key is another."""
    columns = () if row is None else _moved(table, row, stored)
    return RowDifference(
        "extra in ClickHouse",
        _key(table, stored.values),
        columns,
        row,
        stored.values,
        stored.version,
        unmatched=True,
    )


def _moved(table: Table, row: Values, stored: StoredRow) -> tuple[ColumnDifference, ...]:
    """The storage key columns that differ: ClickHouse would keep both rows."""
    columns = [table.column(name) for name in storage_key_columns(table)]
    left, right = (
        tuple(values[table.names.index(column.name)] for column in columns) for values in (row, stored.values)
    )
    return _differing(columns, left, right)


def _differing(columns: Sequence[Column], left: Values, right: Values) -> tuple[ColumnDifference, ...]:
    return tuple(
        ColumnDifference(column.name, shown(column, one), shown(column, other))
        for column, one, other in zip(columns, left, right, strict=True)
        if not equal_values(column, one, other)
    )


def _key(table: Table, values: Values) -> tuple[tuple[str, str | None], ...]:
    return tuple((name, shown(table.column(name), values[table.names.index(name)])) for name in table.key)


MAX_SHOWN_CHARS = 200


def shown(column: Column, value: bytes | None) -> str | None:
    """A value for display: of a column that is not public, only its length."""
    if value is None:
        return None
    if not isinstance(column.privacy, Public):
        return f"<{len(value.decode(errors='replace'))} chars>"
    text = _readable(column.type, value)
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}… ({len(text)} chars)"


def _readable(kind: t.Type, value: bytes) -> str:
    text = value.decode(errors="replace")
    match kind:
        case t.Binary():
            return f"0x{value.hex()}"
        case t.Date() if text.lstrip("-").isdigit():
            return _safely(lambda: (dt.date(1970, 1, 1) + dt.timedelta(days=int(text))).isoformat(), text)
        case t.DateTime() | t.Timestamp() if text.lstrip("-").isdigit():
            return _safely(lambda: (EPOCH + dt.timedelta(microseconds=int(text))).isoformat(" "), text)
        case _:
            return text


def _safely(render: Any, otherwise: str) -> str:
    """`otherwise` for years beyond 9999, which Python's dates cannot hold."""
    try:
        return str(render())
    except OverflowError:
        return otherwise
