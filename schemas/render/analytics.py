"""Contract -> named queries for tools: of one tenant, parameterised, and never with unclassified columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog
from schemas.names import ch_name
from schemas.render.clickhouse import current_view
from schemas.table import Table

TENANT, TEAMS = "tenant", "teams"
"""Parameters that a request cannot set: they come from the token."""
TEAM, AGENT = "team_id", "agent_id"
"""The columns by which a row belongs to a team, as the tables of the live views name them."""


@dataclass(frozen=True)
class Query:
    """`parameters` are those that a request must set: name -> ClickHouse type."""

    public: str
    """The public columns; empty if there are none."""
    clear: str
    """The columns of every class except unclassified."""
    rows: str
    """FROM and WHERE."""
    of_teams: str | None
    """A condition that restricts rows to the token's teams; None if rows do not belong to teams."""
    after: str
    parameters: Mapping[str, str]

    def sql(self, *, clear: bool, teams: bool) -> str:
        """Returns the query; with `teams` only rows of the teams in parameter `TEAMS`."""
        narrowed = f" AND {self.of_teams}" if teams else ""
        return f"SELECT {self.clear if clear else self.public} FROM {self.rows}{narrowed}{self.after}"


def queries(catalog: Catalog) -> dict[str, Query]:
    """Returns ``TABLE.rows`` for every table with a tenant, and ``TABLE.by_day`` if it has a time."""
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
    """Returns the time column of a row: the one that partitions the table."""
    return None if table.clickhouse.partition_by is None else table.clickhouse.partition_by.column


def _rows(table: Table, time: str | None, of_teams: str | None) -> Query:
    public = (
        [column.name for column in table.columns if column.privacy == p.PUBLIC]
        if _narrows_openly(table, time)
        else []
    )
    clear = [column.name for column in table.columns if column.privacy != p.UNCLASSIFIED]
    source = f"{current_view(table)} WHERE {_scope(table, time)}"
    return Query(
        _listed(public), _listed(clear), source, of_teams, "", {} if time is None else _between(table, time)
    )


def _narrows_openly(table: Table, time: str | None) -> bool:
    """Whether rows are filtered by a public column: a filter on another would reveal its values."""
    return time is None or table.column(time).privacy == p.PUBLIC


def _listed(columns: list[str]) -> str:
    return ", ".join(map(ch_name, columns))


def _by_day(table: Table, time: str, of_teams: str | None) -> Query:
    shown = f"toDate({ch_name(time)}) AS day, count() AS rows"
    source = f"{current_view(table)} WHERE {_scope(table, time)}"
    public = shown if _narrows_openly(table, time) else ""
    return Query(public, shown, source, of_teams, " GROUP BY day ORDER BY day", _between(table, time))


def _members(catalog: Catalog) -> Table | None:
    """Returns the table with each agent's team."""
    return next(
        (
            table
            for table in catalog
            if TEAM in table.names and table.tenant and {*table.key} - {table.tenant} == {AGENT}
        ),
        None,
    )


def _of_teams(table: Table, members: Table | None) -> str | None:
    if TEAM in table.names:
        return f"{ch_name(TEAM)} IN {{{TEAMS}:Array(UInt64)}}"
    if AGENT not in table.names or members is None:
        return None
    agents = (
        f"SELECT {ch_name(AGENT)} FROM {current_view(members)} WHERE {_of_tenant(members)} AND "
        f"{_of_teams(members, None)}"
    )
    return f"{ch_name(AGENT)} IN ({agents})"


def _of_tenant(table: Table) -> str:
    return f"{ch_name(str(table.tenant))} = {{{TENANT}:UInt64}}"


def _scope(table: Table, time: str | None) -> str:
    if time is None:
        return _of_tenant(table)
    between = [
        f"{ch_name(time)} {sign} {{{name}:{kind}}}"
        for sign, (name, kind) in zip((">=", "<"), _between(table, time).items(), strict=True)
    ]
    return " AND ".join((_of_tenant(table), *between))


def _between(table: Table, time: str) -> dict[str, str]:
    kind = "Date32" if isinstance(table.column(time).type, t.Date) else "DateTime64(6, 'UTC')"
    return {"from": kind, "until": kind}
