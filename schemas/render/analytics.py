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

TENANT, TEAMS = "tenant", "teams"
"""The parameters that no request sets: they come from the token."""
TEAM, AGENT = "team_id", "agent_id"
"""The columns, by the names that the live views' tables give them, that lead from a row to a team."""


@dataclass(frozen=True)
class Query:
    """`parameters` are those that a request has to set, by name with ClickHouse's type."""

    public: str
    """The columns that tell nothing about a person; empty if there are none."""
    clear: str
    """Those of every class but the unknown."""
    rows: str
    """FROM and WHERE."""
    of_teams: str | None
    """A condition more, by which only rows of the token's teams are shown; None where nothing leads from a row to a team."""
    after: str
    parameters: Mapping[str, str]

    def sql(self, *, clear: bool, teams: bool) -> str:
        """`teams` narrows the rows down to those of the parameter `TEAMS`."""
        narrowed = f" AND {self.of_teams}" if teams else ""
        return f"SELECT {self.clear if clear else self.public} FROM {self.rows}{narrowed}{self.after}"


def queries(catalog: Catalog) -> dict[str, Query]:
    """``TABLE.rows`` of every table that has a tenant; ``TABLE.by_day`` too where it has a time."""
    found = {}
    for table in catalog:
        if table.tenant is None:
            continue
        time, of_teams = _time(table), _of_teams(table, _members(catalog))
        found[f"{table.name}.rows"] = _rows(table, time, of_teams)
        if time is not None:
            found[f"{table.name}.by_day"] = _by_day(table, time, of_teams)
    return found


def _time(table: Table) -> str | None:
    """The column of the time at which a row happened: the one that partitions it."""
    return None if table.clickhouse.partition_by is None else table.clickhouse.partition_by.column


def _rows(table: Table, time: str | None, of_teams: str | None) -> Query:
    public = [column.name for column in table.columns if column.privacy == p.PUBLIC] if _narrows_openly(table, time) else []
    clear = [column.name for column in table.columns if column.privacy != p.UNCLASSIFIED]
    source = f"{read_view(table)} WHERE {_scope(table, time)}"
    return Query(_listed(public), _listed(clear), source, of_teams, "", {} if time is None else _between(table, time))


def _narrows_openly(table: Table, time: str | None) -> bool:
    """Whether the rows are chosen by a public column: choosing by another one tells its values."""
    return time is None or table.column(time).privacy == p.PUBLIC


def _listed(columns: list[str]) -> str:
    return ", ".join(map(ch_name, columns))


def _by_day(table: Table, time: str, of_teams: str | None) -> Query:
    shown = f"toDate({ch_name(time)}) AS day, count() AS rows"
    source = f"{read_view(table)} WHERE {_scope(table, time)}"
    public = shown if _narrows_openly(table, time) else ""
    return Query(public, shown, source, of_teams, " GROUP BY day ORDER BY day", _between(table, time))


def _members(catalog: Catalog) -> Table | None:
    """A table that tells each agent's team."""
    return next((table for table in catalog if TEAM in table.names and table.tenant and {*table.key} - {table.tenant} == {AGENT}), None)


def _of_teams(table: Table, members: Table | None) -> str | None:
    if TEAM in table.names:
        return f"{ch_name(TEAM)} IN {{{TEAMS}:Array(UInt64)}}"
    if AGENT not in table.names or members is None:
        return None
    agents = f"SELECT {ch_name(AGENT)} FROM {read_view(members)} WHERE {_of_tenant(members)} AND {_of_teams(members, None)}"
    return f"{ch_name(AGENT)} IN ({agents})"


def _of_tenant(table: Table) -> str:
    return f"{ch_name(str(table.tenant))} = {{{TENANT}:UInt64}}"


def _scope(table: Table, time: str | None) -> str:
    if time is None:
        return _of_tenant(table)
    between = [
        f"{ch_name(time)} {sign} {{{name}:{kind}}}" for sign, (name, kind) in zip((">=", "<"), _between(table, time).items(), strict=True)
    ]
    return " AND ".join((_of_tenant(table), *between))


def _between(table: Table, time: str) -> dict[str, str]:
    kind = "Date32" if isinstance(table.column(time).type, t.Date) else "DateTime64(6, 'UTC')"
    return {"from": kind, "until": kind}
