"""Debezium's schema history: a record for each DDL statement, with the columns that its tables had after it."""

from __future__ import annotations

from typing import Any

Place = tuple[str, str]
"""(database, table)"""


def place(identity: str, database: str) -> Place:
    """Of an id such as ``"acc_1"."calls"``, whose inner quotes are doubled; `database` where it names none."""
    parts = [part.replace('""', '"') for part in identity.strip('"').split('"."')]
    return (parts[0], parts[-1]) if len(parts) > 1 else (database, parts[0])


def columns(item: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> what is said of it, of one of a record's ``tableChanges``."""
    return {column["name"]: column for column in (item.get("table") or {}).get("columns", ())}
