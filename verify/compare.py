"""Whether two rows are equal, by canonical values: floats as numbers, JSON parsed, everything else by its bytes."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from schemas import types as t
from schemas.privacy import Public
from schemas.table import Column, Table
from verify.results import ColumnDifference, RowDifference, Values


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


def row_difference(table: Table, source: Values | None, clickhouse: Values | None, version: int | None) -> RowDifference | None:
    """None if the two are equal. Keys and values are masked where their column is not public."""
    present = source if source is not None else clickhouse
    if present is None:
        return None
    key = tuple((name, shown(table.column(name), present[table.names.index(name)])) for name in table.key)
    if source is None:
        return RowDifference("extra in ClickHouse", key, (), None, clickhouse, version)
    if clickhouse is None:
        return RowDifference("missing in ClickHouse", key, (), source, None, version)
    columns = tuple(
        ColumnDifference(column.name, shown(column, left), shown(column, right))
        for column, left, right in zip(table.columns, source, clickhouse, strict=True)
        if not equal_values(column, left, right)
    )
    return RowDifference("differs", key, columns, source, clickhouse, version) if columns else None


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
