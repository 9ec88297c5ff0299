"""Checks a MySQL server before its connector is created: reports all findings at once, each with its
remedy."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from connectors.facts import ServerFacts, TableFacts, observe
from connectors.grants import missing
from core.settings import APICURIO_CONVERTER, MySqlServer
from schemas.catalog import Catalog
from schemas.importer import LONGEST_IN_KEY, TOO_LONG
from schemas.names import avro_field
from schemas.render import zero_dates
from schemas.table import Table

MIN_RETENTION_HOURS = 24
REQUIRED_VARIABLES = {
    "log_bin": ("ON", "start MySQL with --log-bin"),
    "binlog_format": ("ROW", "SET PERSIST binlog_format = ROW"),
    "binlog_row_image": (
        "FULL",
        "SET PERSIST binlog_row_image = FULL, then restart the application's sessions",
    ),
    "gtid_mode": ("ON", "turn GTIDs on; without them snapshots cannot be read-only"),
}
"""Variable -> (value, remedy). A server that is too new to have the variable has no other value."""


@dataclass(frozen=True)
class Finding:
    """`fatal` findings prevent the creation of a connector; warnings do not."""

    severity: Literal["fatal", "warning"]
    subject: str
    what: str
    remedy: str


def inspect(
    servers: tuple[MySqlServer, ...],
    catalog: Catalog,
    quarantined: Container[tuple[str, str]] = (),
    converter: str = APICURIO_CONVERTER,
    seconds: float = 0,
) -> list[Finding]:
    """The findings of all servers without the `quarantined` (server, database) pairs, the fatal ones first.

    Changes nothing. Blocks for the servers, and for up to `seconds` per server to search for zero dates,
    which are never fatal.
    """
    return judge([observe(server, catalog, quarantined, seconds) for server in servers], catalog, converter)


def judge(
    servers: Iterable[ServerFacts], catalog: Catalog, converter: str = APICURIO_CONVERTER
) -> list[Finding]:
    """The findings, the fatal ones first."""
    servers = list(servers)
    found = [finding for server in servers for finding in _server(server, catalog, converter)]
    found += _shared_names(servers, catalog)
    return sorted(found, key=lambda finding: (finding.severity, finding.subject))


def _server(server: ServerFacts, catalog: Catalog, converter: str) -> Iterator[Finding]:
    yield from _binlog(server)
    yield from _grants(server)
    for (database, name), facts in server.tables.items():
        subject = f"{server.name}/{database}.{name}"
        yield from _key(subject, catalog[name], facts)
        yield from _columns(subject, facts, converter)
        yield from _zero_dates(subject, catalog[name], facts)
        for key in facts.cascading:
            what = f"foreign key {key!r} cascades: rows that it changes never reach the binlog"
            yield Finding(
                "warning",
                subject,
                what,
                "let the application delete the rows, or verify --repair on a schedule",
            )
    yield from _unsearched(server)


def _binlog(server: ServerFacts) -> Iterator[Finding]:
    variables = server.variables
    for name, (value, remedy) in REQUIRED_VARIABLES.items():
        if name in variables and variables[name].upper() != value:
            yield Finding("fatal", server.name, f"{name} is {variables[name]}, not {value}", remedy)
    if "PARTIAL_JSON" in variables.get("binlog_row_value_options", ""):
        remedy = "SET PERSIST binlog_row_value_options = ''"
        yield Finding(
            "fatal",
            server.name,
            "binlog_row_value_options has PARTIAL_JSON: updates of JSON lose values",
            remedy,
        )
    hours = int(variables.get("binlog_expire_logs_seconds", "0")) / 3600
    if 0 < hours < MIN_RETENTION_HOURS:
        what = f"the binlog is kept for {hours:.0f} h only: a longer stop of the connector loses changes"
        yield Finding("warning", server.name, what, "SET PERSIST binlog_expire_logs_seconds = 604800")


def _grants(server: ServerFacts) -> Iterator[Finding]:
    user = server.cdc_user
    if server.grants is None:
        remedy = "GRANT SELECT ON mysql.* to the user in the settings, or check SHOW GRANTS"
        yield Finding("warning", server.name, f"the grants of user {user!r} may not be seen", remedy)
        return
    if not server.grants:
        remedy = f"CREATE USER '{user}'@'%' IDENTIFIED BY ..., and run it again for its grants"
        yield Finding("fatal", server.name, f"there is no user {user!r} for the connector", remedy)
        return
    missing_by_host = {host: missing(lines, server.tables) for host, lines in server.grants.items()}
    if all(missing_by_host.values()):  # which of its hosts the connector comes from is not known here
        host, names = min(missing_by_host.items(), key=lambda item: len(item[1]))
        remedy = f"GRANT {', '.join(names)} ON *.* TO '{user}'@'{host}'"
        yield Finding("fatal", server.name, f"user {user!r}@{host!r} lacks {', '.join(names)}", remedy)


def _key(subject: str, table: Table, facts: TableFacts) -> Iterator[Finding]:
    key = ", ".join(table.key)
    if table.keyed_by_all_columns:
        yield Finding(
            "warning",
            subject,
            "is keyed by all of its columns: a DELETE of one of several equal rows deletes them all here",
            "it needs a nightly repair (`switchboard verify --repair`), or a primary key",
        )
        for column in facts.columns:
            if column.octets > LONGEST_IN_KEY and column.name in table.key:
                yield Finding(
                    "fatal",
                    subject,
                    f"column {column.name!r} {TOO_LONG}",
                    "add a primary key, and import the contract again",
                )
        return
    if not any(set(names) <= set(table.key) for names in facts.unique):
        remedy = (
            "add a primary or unique key, or say keyed_by_all_columns=True in the contract if equal rows may "
            "collapse to one"
        )
        if facts.unique:
            remedy = f"name in the contract a key that is, such as ({', '.join(facts.unique[0])})"
        yield Finding(
            "fatal",
            subject,
            f"nothing makes the contract's key ({key}) unique: its rows cannot be distinguished",
            remedy,
        )
    elif not any(table.key[: len(names)] == names for names in facts.unique):
        what = (
            f"no key has the columns in the order of the contract's, ({key}): each chunk of a snapshot sorts "
            "the whole table"
        )
        yield Finding(
            "warning",
            subject,
            what,
            f"begin the contract's key with {', '.join(facts.unique[0])}, before the first `apply`",
        )


def _columns(subject: str, facts: TableFacts, converter: str) -> Iterator[Finding]:
    fields: dict[str, str] = {}
    for column in facts.columns:
        other = fields.setdefault(avro_field(column.name), column.name)
        if other != column.name:
            yield Finding(
                "fatal",
                subject,
                f"columns {other!r} and {column.name!r} become one field of the record",
                "rename one",
            )
        if column.nullable and column.default is not None and converter == APICURIO_CONVERTER:
            remedy = (
                "give Connect the converter of connectors/plugin, or drop the default; `verify` finds the "
                "rows"
            )
            yield Finding(
                "warning",
                subject,
                f"column {column.name!r}: a NULL arrives as its default {column.default!r}",
                remedy,
            )


def _zero_dates(subject: str, table: Table, facts: TableFacts) -> Iterator[Finding]:
    refusing = (column for column in table.columns if not zero_dates.is_replaced(column))
    for name in (column.name for column in refusing if column.name in facts.zero_dates):
        yield Finding(
            "warning",
            subject,
            f"column {name!r} holds zero dates, whose rows become dead letters",
            "make the column optional in the contract, or add zero='1900-01-01' or another date",
        )


def _unsearched(server: ServerFacts) -> Iterator[Finding]:
    names = [
        f"{database}.{table}" for (database, table), facts in server.tables.items() if not facts.searched
    ]
    if names:
        what = (
            f"not all rows were searched for zero dates in {len(names)} tables: "
            f"{', '.join(names[:5])}{', …' if names[5:] else ''}"
        )
        yield Finding(
            "warning",
            server.name,
            what,
            "`switchboard connectors preflight --seconds` with more, at a quiet hour",
        )


def _shared_names(servers: Iterable[ServerFacts], catalog: Catalog) -> Iterator[Finding]:
    servers_with: dict[str, list[str]] = {}
    for server in servers:
        for database in server.databases:
            if any(table.source.matches(database) for table in catalog):
                servers_with.setdefault(database, []).append(server.name)
    for database, names in servers_with.items():
        if len(names) > 1:
            remedy = "rename one: a shard's name is part of every key"
            yield Finding(
                "fatal", database, f"database {database!r} exists on servers {' and '.join(names)}", remedy
            )
