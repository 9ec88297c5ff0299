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
from schemas.render.zero_dates import mysql_is_zero

DATES = ("date", "datetime", "timestamp")
TABLE_SECONDS = 2.0
"""The time limit of the search for zero dates in one table."""
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
    """The maximum length of a text or binary value, in bytes."""


@dataclass(frozen=True)
class TableFacts:
    """A table of one database. `unique` holds every unique key without nulls, the primary key first."""

    columns: tuple[ColumnFacts, ...]
    unique: tuple[tuple[str, ...], ...] = ()
    cascading: tuple[str, ...] = ()
    """Foreign keys by which MySQL itself changes rows."""
    zero_dates: tuple[str, ...] = ()
    searched: bool = True
    """Whether all rows were searched for zero dates."""


@dataclass(frozen=True)
class ServerFacts:
    """`grants` maps each host of the connector's user to its grants; None if reading them is not
    permitted."""

    name: str
    cdc_user: str
    variables: dict[str, str]
    grants: dict[str, tuple[str, ...]] | None
    databases: tuple[str, ...] = ()
    """All databases, quarantined ones included."""
    tables: dict[tuple[str, str], TableFacts] = field(default_factory=dict)
    """(database, table) -> the facts of each table of a contract, without quarantined databases."""


def observe(
    server: MySqlServer, catalog: Catalog, quarantined: Container[tuple[str, str]] = (), seconds: float = 0
) -> ServerFacts:
    """Reads the facts of one server. `quarantined` are (server, database) pairs to skip.

    Blocks for the server, and for up to `seconds` more to search for zero dates, which scans tables.
    """
    deadline = time.monotonic() + seconds
    variables = {str(name): str(value) for name, value in mysql.rows(server, "SHOW GLOBAL VARIABLES")}
    databases = tuple(mysql.databases(server))
    wanted = [
        (database, table.name)
        for database in databases
        for table in catalog
        if table.source.matches(database)
    ]
    chosen = {table_name for table_name in wanted if (server.name, table_name[0]) not in quarantined}
    tables = {}
    for table_name, columns in _columns(server, chosen).items():
        found, searched = _zero_dates(
            server, table_name, [column for column in columns if column.kind in DATES], deadline
        )
        tables[table_name] = TableFacts(
            columns, _unique(server, *table_name), _cascading(server, *table_name), found, searched
        )
    return ServerFacts(server.name, server.cdc_user, variables, _grants(server), databases, tables)


def _columns(
    server: MySqlServer, chosen: Container[tuple[str, str]]
) -> dict[tuple[str, str], tuple[ColumnFacts, ...]]:
    query = (
        "SELECT c.table_schema, c.table_name, c.column_name, c.is_nullable, c.column_default, c.data_type, "
        "c.character_octet_length "
        "FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name) "
        "WHERE t.table_type = 'BASE TABLE' ORDER BY c.table_schema, c.table_name, c.ordinal_position"
    )
    found: dict[tuple[str, str], tuple[ColumnFacts, ...]] = {}
    for database, table, name, nullable, default, kind, octets in mysql.rows(server, query):
        if (table_name := (str(database), str(table))) in chosen:
            column = ColumnFacts(str(name), nullable == "YES", default, str(kind), int(octets or 0))
            found[table_name] = (*found.get(table_name, ()), column)
    return found


def _unique(server: MySqlServer, database: str, table: str) -> tuple[tuple[str, ...], ...]:
    query = (
        "SELECT index_name, column_name, nullable, sub_part FROM information_schema.statistics "
        "WHERE table_schema = %s AND table_name = %s AND non_unique = 0 "
        "ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index"
    )
    keys: dict[str, list[str]] = {}
    nullable_keys = set()
    for index, column, nullable, part in mysql.rows(server, query, (database, table)):
        keys.setdefault(str(index), []).append(str(column))
        if column is None or nullable == "YES" or part is not None:
            nullable_keys.add(str(index))
    return tuple(tuple(names) for index, names in keys.items() if index not in nullable_keys)


def _cascading(server: MySqlServer, database: str, table: str) -> tuple[str, ...]:
    query = (
        "SELECT constraint_name FROM information_schema.referential_constraints WHERE constraint_schema = %s "
        "AND table_name = %s AND (delete_rule IN ('CASCADE', 'SET NULL') OR update_rule IN ('CASCADE', 'SET "
        "NULL'))"
    )
    return tuple(str(name) for (name,) in mysql.rows(server, query, (database, table)))


def _zero_dates(
    server: MySqlServer, table_name: tuple[str, str], columns: Iterable[ColumnFacts], deadline: float
) -> tuple[tuple[str, ...], bool]:
    """The columns with a zero date, and whether all rows were searched.

    Each query ends at its first row: no index helps.
    """
    left = {column.name: mysql_is_zero(column.name) for column in columns}
    ends = min(deadline, time.monotonic() + TABLE_SECONDS)
    found: list[str] = []
    while left:
        milliseconds = int((ends - time.monotonic()) * 1000)
        if milliseconds <= 0:
            return tuple(found), False
        query = (
            f"SELECT /*+ MAX_EXECUTION_TIME({milliseconds}) */ {', '.join(left.values())} "
            f"FROM {'.'.join(map(mysql_name, table_name))} WHERE {' OR '.join(left.values())} LIMIT 1"
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


def _grants(server: MySqlServer) -> dict[str, tuple[str, ...]] | None:
    """The grants by host, those of the user's roles included; None if reading them is not permitted."""
    try:
        hosts = [
            str(host)
            for (host,) in mysql.rows(
                server, "SELECT host FROM mysql.user WHERE user = %s ORDER BY host", (server.cdc_user,)
            )
        ]
        return {
            host: _account_grants(server, f"{_quoted(server.cdc_user)}@{_quoted(host)}") for host in hosts
        }
    except MisconfiguredError:
        return None


def _account_grants(server: MySqlServer, account: str) -> tuple[str, ...]:
    granted = tuple(str(row[0]) for row in mysql.rows(server, f"SHOW GRANTS FOR {account}"))
    roles = [found[1] for line in granted if " ON " not in line and (found := ROLE.match(line))]
    if not roles:
        return granted
    return tuple(
        str(row[0]) for row in mysql.rows(server, f"SHOW GRANTS FOR {account} USING {', '.join(roles)}")
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
