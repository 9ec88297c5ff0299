"""Debezium's schema history: a record for each DDL statement, with the columns of its tables after it."""

from __future__ import annotations

from typing import Any

TableName = tuple[str, str]
"""(database, table)"""


def table_name(identity: str, database: str) -> TableName:
    """Returns the name in an id such as ``"acc_1"."calls"``, whose inner quotes are doubled; in `database` if
    the id names none."""
    parts = [part.replace('""', '"') for part in identity.strip('"').split('"."')]
    return (parts[0], parts[-1]) if len(parts) > 1 else (database, parts[0])


def columns(item: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the columns of one item of a record's ``tableChanges``, by name."""
    return {column["name"]: column for column in (item.get("table") or {}).get("columns", ())}
