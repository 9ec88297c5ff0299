"""`switchboard contracts`: what is rendered from a contract."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from core.settings import Context
from schemas.catalog import load
from schemas.names import topic_of
from schemas.render import clickhouse, connect

app = typer.Typer(help="Show what is rendered from a contract.", pretty_exceptions_enable=False, no_args_is_help=True)


class Target(StrEnum):
    clickhouse = "clickhouse"
    connect = "connect"


@app.command("list")
def list_contracts(ctx: typer.Context) -> None:
    """List the contracts in force."""
    for table in load(ctx.obj.settings.contracts):
        print(f"{table.name}: {len(table.columns)} columns, key {', '.join(table.key)}, topic {topic_of(table)}")


@app.command()
def show(ctx: typer.Context, table: str, target: Annotated[Target, typer.Option(help="For which server.")] = Target.clickhouse) -> None:
    """Print what is rendered from one contract."""
    context: Context = ctx.obj
    catalog = load(context.settings.contracts)
    chosen = catalog[table]
    if target is Target.clickhouse:
        print(clickhouse.create_rows_table(chosen) + ";\n\n" + clickhouse.create_read_view(chosen) + ";")
        return
    for server in context.endpoints.mysql:
        for name, value in connect.source_config(catalog, server, context.endpoints.registry, context.endpoints.kafka).items():
            print(f"{name} = {value}")
