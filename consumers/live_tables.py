"""What ClickHouse has: physical tables and reading views."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from schemas.names import ch_string
from schemas.render import clickhouse as render

RETENTION = re.compile(r" TTL (.+) SETTINGS ")


@dataclass(frozen=True)
class Live:
    """A physical table in ClickHouse: column -> type, and expressions in ClickHouse's notation, without
    quotes."""

    columns: dict[str, str]
    sorting: str
    partition: str
    retention: str = ""
    """The TTL; empty if rows are kept forever."""


def live_tables(client: Client, name: str | None = None) -> dict[str, Live]:
    """Returns live tables by name: all, or the given one."""
    columns: dict[str, dict[str, str]] = {}
    chosen = f"database = '{render.STORAGE_DATABASE}'"
    one = "" if name is None else f" AND {{}} = {ch_string(name)}"
    query = (
        f"SELECT table, name, type FROM system.columns WHERE {chosen}{one.format('table')} ORDER BY table, "
        "position"
    )
    for table, column, kind in client.query(query).result_rows:
        columns.setdefault(table, {})[column] = kind
    keys = client.query(
        "SELECT name, sorting_key, partition_key, engine_full FROM system.tables WHERE "
        f"{chosen}{one.format('name')}"
    ).result_rows
    return {
        name: Live(columns.get(name, {}), unquoted(sorting), unquoted(partition), _retention(engine))
        for name, sorting, partition, engine in keys
    }


def _retention(engine: str) -> str:
    """Returns the TTL of a table's engine clause, in which it is followed by the settings."""
    found = RETENTION.search(engine)
    return "" if found is None else unquoted(found[1])


def view_queries(client: Client) -> dict[tuple[str, str], str]:
    """Returns the query of each view by database and name."""
    views = client.query(
        "SELECT database, name, as_select FROM system.tables WHERE engine = 'View'"
    ).result_rows
    return {(str(database), str(name)): str(query) for database, name, query in views}


def unquoted(expression: str) -> str:
    """Returns ClickHouse's expression without the quotes of its identifiers."""
    return expression.replace("`", "")
