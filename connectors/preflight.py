"""What must be true of a MySQL server before a connector is made: every finding at once, each with its remedy."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Literal

from core.clients import mysql
from core.settings import APICURIO_CONVERTER, MySqlServer
from schemas.catalog import Catalog
from schemas.names import avro_field, mysql_name
from schemas.table import Table

LEAST_RETENTION_HOURS = 24
NEEDED_GRANTS = ("SELECT", "RELOAD", "REPLICATION SLAVE", "REPLICATION CLIENT")


@dataclass(frozen=True)
class Finding:
    """`fatal` findings keep a connector from being made; the others are told and lived with."""

    severity: Literal["fatal", "warning"]
    subject: str
    what: str
    remedy: str


def inspect(
    servers: tuple[MySqlServer, ...],
    catalog: Catalog,
    aside: Container[tuple[str, str]] = (),
    converter: str = APICURIO_CONVERTER,
) -> list[Finding]:
    """Everything found on all servers but for (server, database) pairs put `aside`, the fatal first. Reads only; blocks."""
    found = [finding for server in servers for finding in _server(server, catalog, aside, converter)]
    found += _shared_names(servers, catalog)
    return sorted(found, key=lambda finding: (finding.severity, finding.subject))


def _server(server: MySqlServer, catalog: Catalog, aside: Container[tuple[str, str]], converter: str) -> Iterator[Finding]:
    yield from _binlog(server)
    yield from _grants(server)
    for database in mysql.databases(server):
        for table in catalog:
            if table.source.holds(database) and (server.name, database) not in aside:
                yield from _table(server, database, table, converter)


def _variables(server: MySqlServer) -> dict[str, str]:
    return {str(name): str(value) for name, value in mysql.rows(server, "SHOW GLOBAL VARIABLES")}


def _binlog(server: MySqlServer) -> Iterator[Finding]:
    variables = _variables(server)
    wanted = {
        "log_bin": ("ON", "start MySQL with --log-bin"),
        "binlog_format": ("ROW", "SET PERSIST binlog_format = ROW"),
        "binlog_row_image": ("FULL", "SET PERSIST binlog_row_image = FULL, then restart the application's sessions"),
        "gtid_mode": ("ON", "turn GTIDs on; without them snapshots cannot be read-only"),
    }
    for name, (value, remedy) in wanted.items():
        if name in variables and variables[name].upper() != value:
            yield Finding("fatal", server.name, f"{name} is {variables[name]}, not {value}", remedy)
    if "PARTIAL_JSON" in variables.get("binlog_row_value_options", ""):
        remedy = "SET PERSIST binlog_row_value_options = ''"
        yield Finding("fatal", server.name, "binlog_row_value_options has PARTIAL_JSON: updates of JSON lose values", remedy)
    hours = int(variables.get("binlog_expire_logs_seconds", "0")) / 3600
    if 0 < hours < LEAST_RETENTION_HOURS:
        what = f"the binlog is kept for {hours:.0f} h only: a longer stop of the connector loses changes"
        yield Finding("warning", server.name, what, "SET PERSIST binlog_expire_logs_seconds = 604800")


def _grants(server: MySqlServer) -> Iterator[Finding]:
    granted = " ".join(str(row[0]) for row in mysql.rows(server, "SHOW GRANTS FOR %s@'%%'", (server.cdc_user,))).upper()
    if "ALL PRIVILEGES ON *.*" in granted:
        return
    missing = [name for name in NEEDED_GRANTS if name not in granted]
    if missing:
        remedy = f"GRANT {', '.join(missing)} ON *.* TO '{server.cdc_user}'@'%'"
        yield Finding("fatal", server.name, f"user {server.cdc_user!r} lacks {', '.join(missing)}", remedy)


def _table(server: MySqlServer, database: str, table: Table, converter: str) -> Iterator[Finding]:
    subject = f"{server.name}/{database}.{table.name}"
    columns = mysql.rows(
        server,
        "SELECT column_name, is_nullable, column_default, column_key, data_type FROM information_schema.columns "
        "WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        (database, table.name),
    )
    if not columns:
        return
    if not any(key == "PRI" for _, _, _, key, _ in columns) and not table.keyed_by_all_columns:
        remedy = "add a primary key, or say keyed_by_all_columns=True in the contract if equal rows may collapse to one"
        yield Finding("fatal", subject, "it has no primary key: its rows cannot be told apart", remedy)
    spelled: dict[str, str] = {}
    for name, nullable, default, _, kind in columns:
        other = spelled.setdefault(avro_field(str(name)), str(name))
        if other != name:
            yield Finding("fatal", subject, f"columns {other!r} and {name!r} become one field of the record", "rename one")
        if nullable == "YES" and default is not None and converter == APICURIO_CONVERTER:
            remedy = "give Connect the converter of connectors/plugin, or drop the default; `verify` finds the rows"
            yield Finding("warning", subject, f"column {name!r}: a NULL arrives as its default {default!r}", remedy)
        if nullable == "NO" and kind in ("date", "datetime", "timestamp") and _has_zero_dates(server, database, table, str(name)):
            yield Finding("warning", subject, f"column {name!r} holds zero dates, which arrive as 1970-01-01", "correct the rows")
    yield from _cascades(server, database, table, subject)


def _has_zero_dates(server: MySqlServer, database: str, table: Table, column: str) -> bool:
    place = f"{mysql_name(database)}.{mysql_name(table.name)}"
    query = f"SELECT EXISTS (SELECT 1 FROM {place} WHERE {mysql_name(column)} < '0001-01-01')"
    return bool(mysql.rows(server, query)[0][0])


def _cascades(server: MySqlServer, database: str, table: Table, subject: str) -> Iterator[Finding]:
    query = (
        "SELECT constraint_name FROM information_schema.referential_constraints WHERE constraint_schema = %s "
        "AND table_name = %s AND (delete_rule IN ('CASCADE', 'SET NULL') OR update_rule IN ('CASCADE', 'SET NULL'))"
    )
    for (name,) in mysql.rows(server, query, (database, table.name)):
        what = f"foreign key {name!r} cascades: rows that it changes never reach the binlog"
        yield Finding("warning", subject, what, "let the application delete the rows, or verify --repair on a schedule")


def _shared_names(servers: tuple[MySqlServer, ...], catalog: Catalog) -> Iterator[Finding]:
    homes: dict[str, list[str]] = {}
    for server in servers:
        for database in mysql.databases(server):
            if any(table.source.holds(database) for table in catalog):
                homes.setdefault(database, []).append(server.name)
    for database, names in homes.items():
        if len(names) > 1:
            remedy = "rename one: a shard's name is part of every key"
            yield Finding("fatal", database, f"database {database!r} stands on servers {' and '.join(names)}", remedy)
