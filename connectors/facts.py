"""What a MySQL server is found to be: all that `preflight` judges by. Reads only."""

from __future__ import annotations

import re
import time
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

import pymysql

from core.clients import mysql
from core.errors import MisconfiguredError
from core.settings import MySqlServer
from schemas.catalog import Catalog
from schemas.names import mysql_name

DATES = ("date", "datetime", "timestamp")
TABLE_SECONDS = 2.0
"""For so long at most one table is searched for zero dates."""
TIMED_OUT = 3024
ROLE = re.compile(r"GRANT ([^()]+) TO ", re.IGNORECASE)
"""A grant of roles: it has no ON."""


@dataclass(frozen=True)
class ColumnFacts:
    name: str
    nullable: bool
    default: str | None
    kind: str
    octets: int = 0
    """The longest that a text or binary value may be."""


@dataclass(frozen=True)
class TableFacts:
    """A table of one database. `unique` holds every unique key without nulls, the primary key first."""

    columns: tuple[ColumnFacts, ...]
    unique: tuple[tuple[str, ...], ...] = ()
    cascading: tuple[str, ...] = ()
    """Foreign keys by which MySQL itself changes rows."""
    zero_dates: tuple[str, ...] = ()
    searched: bool = True
    """Whether all of its rows were searched for zero dates."""


@dataclass(frozen=True)
class ServerFacts:
    """`grants` goes from each host that the connector's user may come from to the grants; None if they may not be seen."""

    name: str
    cdc_user: str
    variables: dict[str, str]
    grants: dict[str, tuple[str, ...]] | None
    databases: tuple[str, ...] = ()
    """All of them, those put aside too."""
    tables: dict[tuple[str, str], TableFacts] = field(default_factory=dict)
    """(database, table) -> those that contracts name and that are not put aside."""


def observe(server: MySqlServer, catalog: Catalog, aside: Container[tuple[str, str]] = (), seconds: float = 0) -> ServerFacts:
    """Blocks on the server; up to `seconds` more while it searches for zero dates, which reads tables from end to end."""
    deadline = time.monotonic() + seconds
    variables = {str(name): str(value) for name, value in mysql.rows(server, "SHOW GLOBAL VARIABLES")}
    databases = tuple(mysql.databases(server))
    wanted = [(database, table.name) for database in databases for table in catalog if table.source.holds(database)]
    chosen = {place for place in wanted if (server.name, place[0]) not in aside}
    tables = {}
    for place, columns in _columns(server, chosen).items():
        found, searched = _zero_dates(server, place, [column for column in columns if column.kind in DATES], deadline)
        tables[place] = TableFacts(columns, _unique(server, *place), _cascading(server, *place), found, searched)
    return ServerFacts(server.name, server.cdc_user, variables, _grants(server), databases, tables)


def _columns(server: MySqlServer, chosen: Container[tuple[str, str]]) -> dict[tuple[str, str], tuple[ColumnFacts, ...]]:
    query = (
        "SELECT c.table_schema, c.table_name, c.column_name, c.is_nullable, c.column_default, c.data_type, c.character_octet_length "
        "FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name) "
        "WHERE t.table_type = 'BASE TABLE' ORDER BY c.table_schema, c.table_name, c.ordinal_position"
    )
    found: dict[tuple[str, str], tuple[ColumnFacts, ...]] = {}
    for database, table, name, nullable, default, kind, octets in mysql.rows(server, query):
        if (place := (str(database), str(table))) in chosen:
            column = ColumnFacts(str(name), nullable == "YES", default, str(kind), int(octets or 0))
            found[place] = (*found.get(place, ()), column)
    return found


def _unique(server: MySqlServer, database: str, table: str) -> tuple[tuple[str, ...], ...]:
    query = (
        "SELECT index_name, column_name, nullable, sub_part FROM information_schema.statistics "
        "WHERE table_schema = %s AND table_name = %s AND non_unique = 0 "
        "ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index"
    )
    keys: dict[str, list[str]] = {}
    unfit = set()
    for index, column, nullable, part in mysql.rows(server, query, (database, table)):
        keys.setdefault(str(index), []).append(str(column))
        if column is None or nullable == "YES" or part is not None:
            unfit.add(str(index))
    return tuple(tuple(names) for index, names in keys.items() if index not in unfit)


def _cascading(server: MySqlServer, database: str, table: str) -> tuple[str, ...]:
    query = (
        "SELECT constraint_name FROM information_schema.referential_constraints WHERE constraint_schema = %s "
        "AND table_name = %s AND (delete_rule IN ('CASCADE', 'SET NULL') OR update_rule IN ('CASCADE', 'SET NULL'))"
    )
    return tuple(str(name) for (name,) in mysql.rows(server, query, (database, table)))


def _zero_dates(
    server: MySqlServer, place: tuple[str, str], columns: Iterable[ColumnFacts], deadline: float
) -> tuple[tuple[str, ...], bool]:
    """The columns found to hold one, and whether all was searched. No index helps, so each search ends at its first row."""
    left = {column.name: _is_zero(column.name) for column in columns}
    ends = min(deadline, time.monotonic() + TABLE_SECONDS)
    found: list[str] = []
    while left:
        milliseconds = int((ends - time.monotonic()) * 1000)
        if milliseconds <= 0:
            return tuple(found), False
        query = (
            f"SELECT /*+ MAX_EXECUTION_TIME({milliseconds}) */ {', '.join(left.values())} "
            f"FROM {'.'.join(map(mysql_name, place))} WHERE {' OR '.join(left.values())} LIMIT 1"
        )
        try:
            rows = mysql.rows(server, query)
        except pymysql.err.OperationalError as error:
            if error.args[0] != TIMED_OUT:
                raise
            return tuple(found), False
        if not rows:
            break
        here = [name for name, zero in zip(left, rows[0], strict=True) if zero]
        found += here
        left = {name: condition for name, condition in left.items() if name not in here}
    return tuple(found), True


def _is_zero(column: str) -> str:
    """True of 0000-00-00 and of dates such as 2020-00-00; never null."""
    name = mysql_name(column)
    return f"COALESCE({name} < '0001-01-01' OR MONTH({name}) = 0 OR DAYOFMONTH({name}) = 0, FALSE)"


def _grants(server: MySqlServer) -> dict[str, tuple[str, ...]] | None:
    """With those of the roles granted to the user, which a server may ask the user to take on first."""
    try:
        hosts = [
            str(host) for (host,) in mysql.rows(server, "SELECT host FROM mysql.user WHERE user = %s ORDER BY host", (server.cdc_user,))
        ]
        return {host: _of_account(server, f"{_quoted(server.cdc_user)}@{_quoted(host)}") for host in hosts}
    except MisconfiguredError:
        return None


def _of_account(server: MySqlServer, account: str) -> tuple[str, ...]:
    granted = tuple(str(row[0]) for row in mysql.rows(server, f"SHOW GRANTS FOR {account}"))
    roles = [found[1] for line in granted if " ON " not in line and (found := ROLE.match(line))]
    if not roles:
        return granted
    return tuple(str(row[0]) for row in mysql.rows(server, f"SHOW GRANTS FOR {account} USING {', '.join(roles)}"))


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
