"""`switchboard connectors`: Kafka Connect's verbs, and snapshots."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as Shown

from connectors.loads import Loads
from connectors.preflight import inspect
from connectors.rest import KafkaConnect, root_cause
from connectors.snapshots import follow
from connectors.watch import Watch
from core import logging
from core.clients import mysql
from core.control import ControlDatabase
from core.errors import MisconfiguredError
from core.settings import Context
from schemas.catalog import load as load_catalog

app = typer.Typer(help="Manage the source connectors.", pretty_exceptions_enable=False, no_args_is_help=True)
offsets = typer.Typer(help="What a connector has read.", pretty_exceptions_enable=False, no_args_is_help=True)
app.add_typer(offsets, name="offsets")

PASSED_ON = {
    "pause": "Stop reading; the tasks stay.",
    "resume": "Go on reading.",
    "restart": "Start the connector and its tasks again.",
    "stop": "Stop the connector and its tasks; needed before offsets can be reset.",
    "delete": "Remove the connector. Its offsets stay in Kafka.",
}
"""Verbs that only pass a call through."""


def _connect(ctx: typer.Context) -> KafkaConnect:
    context: Context = ctx.obj
    return KafkaConnect(context.endpoints.connect)


def _passing(verb: str) -> Callable[[typer.Context, str], None]:
    def call(ctx: typer.Context, name: str) -> None:
        connect = _connect(ctx)
        connect.delete(name) if verb == "delete" else connect.change(name, verb)
        print(f"{name}: {verb} accepted")

    return call


for _verb, _help in PASSED_ON.items():
    app.command(_verb, help=_help)(_passing(_verb))


@app.command("list")
def list_connectors(ctx: typer.Context) -> None:
    """List the connectors and their states."""
    shown = Shown("connector", "state", "tasks", box=None)
    connect = _connect(ctx)
    for name in connect.names():
        status = connect.status(name)
        tasks = ", ".join(task["state"] for task in status.get("tasks", []))
        shown.add_row(name, status.get("connector", {}).get("state", "UNKNOWN"), tasks)
    Console().print(shown)


@app.command()
def status(ctx: typer.Context, name: str) -> None:
    """Show a connector's state, and the cause where it failed."""
    found = _connect(ctx).status(name)
    if not found:
        raise MisconfiguredError(f"there is no connector {name!r}", "`switchboard connectors list` shows them")
    for part in (found["connector"], *found["tasks"]):
        label = f"task {part['id']}" if "id" in part else "connector"
        cause = f": {root_cause(part['trace'])}" if "trace" in part else ""
        print(f"{label} {part['state']}{cause}")


@offsets.command("show")
def show_offsets(ctx: typer.Context, name: str) -> None:
    """Show the binlog position that Kafka holds for a connector."""
    print(json.dumps(_connect(ctx).offsets(name), indent=1))


@offsets.command("reset")
def reset_offsets(ctx: typer.Context, name: str, sure: Annotated[bool, typer.Option("--yes", help="I know.")] = False) -> None:
    """Forget the position. Changes since then are lost until the tables are snapshotted and verified again."""
    if not sure:
        raise MisconfiguredError(f"resetting {name}'s offsets loses its place in the binlog", "add --yes, then snapshot every table")
    _connect(ctx).reset_offsets(name)
    print(f"{name}: offsets reset; snapshot its tables, then `switchboard verify --repair`")


def _loads(context: Context) -> Loads:
    control = ControlDatabase(context.endpoints.mysql[0], context.settings.control_database)
    control.migrate()
    return Loads(context.endpoints, control)


@app.command()
def snapshot(
    ctx: typer.Context,
    table: str,
    where: Annotated[str | None, typer.Option(help="SQL condition; only these rows.")] = None,
) -> None:
    """Read a table again, on every shard, beside the stream."""
    context: Context = ctx.obj
    chosen = load_catalog(context.settings.contracts)[table]
    for server in context.endpoints.mysql:
        standing = [name for name in mysql.databases(server) if chosen.source.holds(name)]
        collections = [f"{database}.{table}" for database in standing]
        if collections:
            _loads(context).request(server.name, collections, where)
            print(f"{server.name}: asked for {', '.join(collections)}; `connectors snapshots` shows the progress")


@app.command()
def snapshots(ctx: typer.Context) -> None:
    """Show what the connectors have told of their snapshots."""
    context: Context = ctx.obj
    for server in context.endpoints.mysql:
        for event in follow(context.endpoints, server.name, limit=30):
            rows = "" if event.rows is None else f", {event.rows:,} rows"
            place = f", key {event.last_key} of {event.maximum_key}" if event.last_key else ""
            print(f"{server.name} {event.kind} {event.collection or ', '.join(event.collections)} {event.status}{rows}{place}")


@app.command()
def watch(ctx: typer.Context, every: Annotated[float, typer.Option(help="Seconds between looks.")] = 5.0) -> None:
    """Start failed connectors again, after longer and longer pauses, until Ctrl-C."""
    logging.configure()
    watcher = Watch(_connect(ctx))
    while True:
        watcher.look()
        time.sleep(every)


@app.command()
def preflight(ctx: typer.Context) -> None:
    """Show what on the MySQL servers stands in the way, or will lose something, each with its remedy."""
    context: Context = ctx.obj
    findings = inspect(context.endpoints.mysql, load_catalog(context.settings.contracts))
    for finding in findings:
        print(f"{finding.severity} {finding.subject}: {finding.what}\n  → {finding.remedy}")
    if not findings:
        print("nothing found")
    if any(finding.severity == "fatal" for finding in findings):
        raise typer.Exit(1)
