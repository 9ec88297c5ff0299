"""`switchboard contracts`: prints what is rendered from contracts, and imports contracts from a live
schema."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Shown

from core.command import context_of
from core.errors import ContractError, MisconfiguredError
from core.settings import Context, MySqlServer
from schemas.catalog import Catalog, load
from schemas.importer import Imported
from schemas.names import topic_of
from schemas.table import Metadata, Shards, Table

app = typer.Typer(
    help="Print what is rendered from a contract, or import contracts.",
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)
PASSWORD = "MYSQL_PWD"


class Target(StrEnum):
    clickhouse = "clickhouse"
    connect = "connect"
    flink = "flink"
    iceberg = "iceberg"
    landing = "landing"


class Keyless(StrEnum):
    refuse = "refuse"
    all_columns = "all-columns"


@app.command("list")
def list_contracts(ctx: typer.Context) -> None:
    """List the contracts."""
    for table in load(context_of(ctx).settings.contracts):
        print(
            f"{table.name}: {len(table.columns)} columns, key {', '.join(table.key)}, topic {topic_of(table)}"
        )


@app.command()
def show(
    ctx: typer.Context,
    table: str,
    target: Annotated[Target, typer.Option(help="The server to render for.")] = Target.clickhouse,
) -> None:
    """Print what is rendered from one contract."""
    context = context_of(ctx)
    catalog = load(context.settings.contracts)
    print(_rendered(context, catalog, catalog[table], target))


def _rendered(context: Context, catalog: Catalog, table: Table, target: Target) -> str:
    from schemas.render import clickhouse, connect, flink, iceberg

    match target:
        case Target.clickhouse:
            return (
                clickhouse.create_storage_table(table) + ";\n\n" + clickhouse.create_current_view(table) + ";"
            )
        case Target.landing:
            return _landing(context, table)
        case Target.iceberg:
            return json.dumps(iceberg.schema(table), indent=1, ensure_ascii=False)
        case Target.flink:
            return flink.create_source(table, context.endpoints.kafka, context.endpoints.registry) + ";"
        case Target.connect:
            at = context.endpoints
            converter = at.connect.value_converter
            configs = (
                connect.source_config(catalog, server, at.registry, at.kafka, converter)
                for server in at.mysql
            )
            return "\n".join(f"{name} = {value}" for config in configs for name, value in config.items())


def _landing(context: Context, table: Table) -> str:
    """Returns the landing query for the newest schema of the table's records, which the query depends on."""
    from core.clients.registry import Registry
    from schemas.render.landing import landing_query

    found = Registry(context.endpoints.registry).latest(f"{topic_of(table)}-value")
    if found is None:
        raise MisconfiguredError(
            f"the registry has no schema {topic_of(table)}-value yet", "`switchboard apply`, then write a row"
        )
    return f"-- schema id {found[0]}, generation 1\n{landing_query(table, found[1], 1)};"


@app.command("import")
def import_(
    url: Annotated[
        str, typer.Argument(help="mysql://user:password@host:port; the password may be in MYSQL_PWD instead.")
    ],
    database: Annotated[str, typer.Argument(help="The database whose tables are imported.")],
    into: Annotated[Path, typer.Option(help="The folder for the contract files.")] = Path("contracts"),
    shards: Annotated[
        str | None, typer.Option(help="A pattern such as 'acc_*', if other databases have the same tables.")
    ] = None,
    keyless: Annotated[Keyless, typer.Option(help="What to do with a table without a key.")] = Keyless.refuse,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Overwrite files; ids, privacy and storage of known tables are kept."),
    ] = False,
) -> None:
    """Write a contract for each table of a MySQL database, with privacy classes to review."""
    from core.clients import mysql
    from schemas import importer
    from schemas.render.python import contract_file, file_names

    server = _server(url)
    if database not in mysql.databases(server):
        raise MisconfiguredError(
            f"{server.host}:{server.port} has no database {database!r} that {server.user!r} may see",
            "check its name",
        )
    existing = tuple(load(str(into))) if replace and list(into.glob("*.py")) else ()
    plan = importer.Plan(
        Shards(shards) if shards else Metadata(database), keyless is Keyless.all_columns, existing
    )
    columns = mysql.rows(server, importer.COLUMNS_QUERY, (database,))
    found = importer.import_tables(columns, mysql.rows(server, importer.KEYS_QUERY, (database,)), plan)
    files = file_names(item.name for item in found if item.contract is not None)
    taken = [name for name in files.values() if (into / name).exists()]
    if taken and not replace:
        raise MisconfiguredError(
            f"{into} already has {', '.join(taken[:5])}", "choose another folder, or add --replace"
        )
    into.mkdir(parents=True, exist_ok=True)
    for item in found:
        if item.contract is not None:
            (into / files[item.name]).write_text(contract_file(item.contract, item.guessed, item.unsupported))
    _report(found, [str(row[0]) for row in mysql.rows(server, importer.VIEWS_QUERY, (database,))], into)


def _remarks(item: Imported) -> Iterator[str]:
    if item.unsupported:
        yield ", ".join(item.unsupported)
    if item.contract is not None and item.contract.keyed_by_all_columns:
        yield (
            "keyed by all columns: equal rows are one row here, which a DELETE of one of them deletes; "
            "needs a nightly `switchboard verify --repair`"
        )


def _server(url: str) -> MySqlServer:
    """Parses the URL. Raises MisconfiguredError without the URL, which may contain a password."""
    try:
        parts = urlsplit(url)
        port = parts.port or 3306
    except ValueError as error:
        raise MisconfiguredError(
            f"the URL is invalid: {error}", "write mysql://user:password@host:3306"
        ) from None
    if parts.scheme != "mysql" or not parts.hostname or not parts.username:
        raise MisconfiguredError(
            "the URL has no MySQL user and host", "write mysql://user:password@host:3306"
        )
    password = unquote(parts.password) if parts.password is not None else os.environ.get(PASSWORD, "")
    return MySqlServer(
        name="import",
        host=parts.hostname,
        port=port,
        user=unquote(parts.username),
        password=SecretStr(password),
    )


def _report(found: list[Imported], views: list[str], into: Path) -> None:
    console = Console(soft_wrap=True)
    shown = Shown("table", "columns", "key", "unsupported, or reason of refusal", box=None)
    for item in found:
        remarks = "refused: " + "; ".join(item.reasons) if item.reasons else "; ".join(_remarks(item))
        columns = (
            (str(len(item.contract.columns)), ", ".join(item.contract.key))
            if item.contract is not None
            else ("", "")
        )
        shown.add_row(escape(item.name), columns[0], escape(columns[1]), escape(remarks))
    console.print(shown)
    for view in views:
        console.print(f"{view} is a view and is skipped", markup=False, highlight=False)
    written = [item for item in found if item.contract is not None]
    guesses = sum(len(item.guessed) for item in written)
    console.print(
        f"\n{len(written)} of {len(found)} tables have contracts in {into}; {guesses} privacy classes are "
        "guesses, marked `# review`."
    )
    if not written:
        raise ContractError("no table can have a contract", "correct the listed reasons, then import again")
    console.print(
        f'Next: review them, set contracts = "{into}" in switchboard.toml, then `switchboard plan`, `apply`, '
        "`land`, `verify`."
    )
