"""Contract -> the named queries that a tool may ask for: always of one tenant, parameterised, and never of unclassified columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog
from schemas.names import ch_name
from schemas.render.clickhouse import read_view
from schemas.table import Table

TENANT = "tenant"
"""The parameter that no request sets: it comes from the token."""


@dataclass(frozen=True)
class Query:
    """`parameters` are those that a request has to set, by name with ClickHouse's type."""

    sql: str
    parameters: Mapping[str, str]


def queries(catalog: Catalog) -> dict[str, Query]:
    """``TABLE.rows`` of every table that has a tenant; ``TABLE.by_day`` too where it has a time."""
    found = {}
    for table in catalog:
        if table.tenant is None:
            continue
        time = _time(table)
        found[f"{table.name}.rows"] = _rows(table, time)
        if time is not None:
            found[f"{table.name}.by_day"] = _by_day(table, time)
    return found


def _time(table: Table) -> str | None:
    """The column of the time at which a row happened: the one that partitions it."""
    return None if table.clickhouse.partition_by is None else table.clickhouse.partition_by.column


def _rows(table: Table, time: str | None) -> Query:
    columns = ", ".join(ch_name(column.name) for column in table.columns if column.privacy != p.UNCLASSIFIED)
    sql = f"SELECT {columns} FROM {read_view(table)} WHERE {_scope(table, time)}"
    return Query(sql, {} if time is None else _between(table, time))


def _by_day(table: Table, time: str) -> Query:
    sql = (
        f"SELECT toDate({ch_name(time)}) AS day, count() AS rows FROM {read_view(table)} "
        f"WHERE {_scope(table, time)} GROUP BY day ORDER BY day"
    )
    return Query(sql, _between(table, time))


def _scope(table: Table, time: str | None) -> str:
    tenant = f"{ch_name(str(table.tenant))} = {{{TENANT}:UInt64}}"
    if time is None:
        return tenant
    between = [
        f"{ch_name(time)} {sign} {{{name}:{kind}}}" for sign, (name, kind) in zip((">=", "<"), _between(table, time).items(), strict=True)
    ]
    return " AND ".join((tenant, *between))


def _between(table: Table, time: str) -> dict[str, str]:
    kind = "Date32" if isinstance(table.column(time).type, t.Date) else "DateTime64(6, 'UTC')"
    return {"from": kind, "until": kind}
