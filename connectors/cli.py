"""`switchboard connectors`: Kafka Connect's verbs, snapshots, and what keeps connectors well."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as Shown

from connectors.guard import BinlogAlarm, Loader, Mender
from connectors.logs import LOGGERS, lines_of
from connectors.preflight import inspect
from connectors.quarantine import Quarantine
from connectors.rest import KafkaConnect, root_cause
from connectors.snapshots_cli import loads_of, snapshots
from connectors.target import ConnectTarget
from connectors.watch import Watch, keep_looking
from core import logging, metrics
from core.clients import mysql
from core.control import ControlDatabase
from core.control.aside import aside
from core.errors import MisconfiguredError
from core.settings import Context
from core.shutdown import stop_on_signal
from schemas.catalog import load as load_catalog
from schemas.render.connect import connector_name

app = typer.Typer(help="Manage the source connectors.", pretty_exceptions_enable=False, no_args_is_help=True)
offsets = typer.Typer(help="What a connector has read.", pretty_exceptions_enable=False, no_args_is_help=True)
app.add_typer(offsets, name="offsets")
app.add_typer(snapshots, name="snapshots")

PASSED_ON = {
    "pause": "Stop reading; the tasks stay.",
    "resume": "Go on reading.",
    "restart": "Start the connector and its tasks again.",
    "stop": "Stop the connector and its tasks; needed before offsets can be reset.",
}
"""Verbs that only pass a call through."""


def _connect(ctx: typer.Context) -> KafkaConnect:
    context: Context = ctx.obj
    return KafkaConnect(context.endpoints.connect)


def _control(context: Context) -> ControlDatabase:
    control = ControlDatabase(context.endpoints.mysql[0], context.settings.control_database)
    control.migrate()
    return control


def _passing(verb: str) -> Callable[[typer.Context, str], None]:
    def call(ctx: typer.Context, name: str) -> None:
        _connect(ctx).change(name, verb)
        print(f"{name}: {verb} accepted")

    return call


for _verb, _help in PASSED_ON.items():
    app.command(_verb, help=_help)(_passing(_verb))


@app.command()
def delete(ctx: typer.Context, name: str, sure: Annotated[bool, typer.Option("--yes", help="I know.")] = False) -> None:
    """Remove the connector. Its place in the binlog stays in Kafka, so that one made again goes on from there."""
    connect = _connect(ctx)
    if connect.config(name) is None:
        raise MisconfiguredError(f"there is no connector {name!r}", "`switchboard connectors list` shows them")
    if not sure:
        what = f"without {name} no change of its server is read; once the binlog is purged of them, they are lost"
        raise MisconfiguredError(what, "add --yes; `switchboard apply` makes it again")
    connect.delete(name)
    print(f"{name}: deleted; `switchboard apply` makes it again, and it goes on from where it was while the binlog still holds that")


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


@app.command()
def logs(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Only what names this connector.")] = None,
    lines: Annotated[int, typer.Option(help="So many of the last lines.")] = 40,
    level: Annotated[str | None, typer.Option(help="Log so much from now on: ERROR, WARN, INFO, DEBUG or TRACE.")] = None,
) -> None:
    """Print the end of Connect's log, of one connector or all; or set how much Connect logs."""
    context: Context = ctx.obj
    if level is not None:
        for logger in LOGGERS:
            _connect(ctx).set_level(logger, level.upper())
        print(f"{' and '.join(LOGGERS)} log {level.upper()} on every worker, until it restarts")
        return
    log = context.settings.home / "logs" / "connect.log"
    if context.settings.endpoints is not None or not log.exists():
        raise MisconfiguredError("Connect's log is on the machines that run it", "`--level DEBUG` works from here")
    servers = [server.name for server in context.endpoints.mysql if connector_name(server.name) == name]
    names = () if name is None else (name, *servers, *(f"debezium-mysqlconnector-{server}" for server in servers))
    for line in lines_of(log, names, lines):
        print(line)


@offsets.command("show")
def show_offsets(ctx: typer.Context, name: str) -> None:
    """Show the binlog position that Kafka holds for a connector."""
    print(json.dumps(_connect(ctx).offsets(name), indent=1))


@offsets.command("reset")
def reset_offsets(ctx: typer.Context, name: str, sure: Annotated[bool, typer.Option("--yes", help="I know.")] = False) -> None:
    """Forget the position. What is committed until the connector runs again is missing until every table is read and verified again."""
    if not sure:
        raise MisconfiguredError(f"resetting {name}'s offsets loses its place in the binlog", "add --yes; then every table is read again")
    context: Context = ctx.obj
    target = ConnectTarget(context.endpoints, load_catalog(context.settings.contracts), _control(context))
    reason = f"the offsets of {name} were reset: changes and deletes of that time are missing"
    servers = [server for server in context.endpoints.mysql if connector_name(server.name) == name]
    for server in servers:
        target.doubt(server, reason)
    _connect(ctx).reset_offsets(name)
    for server in servers:  # again, as a verification that began before the reset has proven nothing
        target.doubt(server, reason)
    print(f"{name}: offsets reset; its tables are in doubt, as `switchboard lag` shows")
    print(f"  → `switchboard connectors resume {name}`, `switchboard apply`, and once they are read, `switchboard verify --repair`")


@app.command()
def snapshot(
    ctx: typer.Context,
    table: str,
    where: Annotated[str | None, typer.Option(help="SQL condition; only these rows.")] = None,
) -> None:
    """Read a table again, on every shard that is not put aside, beside the stream."""
    context: Context = ctx.obj
    chosen = load_catalog(context.settings.contracts).captured[table]
    absent = {(item.server, item.database) for item in aside(_control(context))}
    for server in context.endpoints.mysql:
        present = [name for name in mysql.databases(server) if chosen.source.holds(name) and (server.name, name) not in absent]
        collections = [f"{database}.{table}" for database in present]
        if collections:
            loads_of(context).request(server.name, collections, where)
            print(f"{server.name}: asked for {', '.join(collections)}; `connectors snapshots` shows the progress")


@app.command()
def quarantine(
    ctx: typer.Context,
    server: Annotated[str | None, typer.Argument(help="The MySQL server's name.")] = None,
    database: Annotated[str | None, typer.Argument(help="The shard.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks next.")] = "by hand",
    release: Annotated[bool, typer.Option("--release", help="Take it back.")] = False,
) -> None:
    """Put a shard aside, so that it holds up no other; list what is put aside; take a mended shard back."""
    context: Context = ctx.obj
    control = _control(context)
    if server is None or database is None:
        for item in aside(control):
            by = " by the watch" if item.alone else ""
            print(f"{item.server} {item.database} since {item.since:%Y-%m-%d %H:%M:%S} UTC{by}: {item.reason}")
        return
    ward = Quarantine(context.endpoints, load_catalog(context.settings.contracts), control)
    if release:
        asked = ward.release(server, database)
        print(f"{server}: {database} is read again; asked for {', '.join(asked) or 'no snapshot'}")
        print("  → deletes of the time between are still missing: once it is read, `switchboard verify --repair`")
        return
    tables = ward.put_aside(server, database, reason)
    print(f"{server}: {database} is put aside; its tables stand still: {', '.join(tables) or 'none'}")
    print(f"  → mend it, then `switchboard connectors quarantine {server} {database} --release`")


@app.command()
def watch(
    ctx: typer.Context,
    every: Annotated[float | None, typer.Option(help="Seconds between looks.")] = None,
    metrics_port: Annotated[int, typer.Option(help="Prometheus port; 0 takes a free one.")] = 0,
) -> None:
    """Keep connectors well until SIGTERM or Ctrl-C: start failed ones again, put a failing
    shard aside, ask again for lost snapshots, mind the binlog."""
    context: Context = ctx.obj
    logging.configure()
    stop = stop_on_signal()
    logging.get("connectors").info("metrics", port=metrics.serve(metrics_port))
    chosen, connect = context.settings.connectors, _connect(ctx)
    catalog, control = load_catalog(context.settings.contracts), _control(context)
    watcher = Watch(connect, Mender(context.endpoints, catalog, control, chosen.quarantine_after))
    alarm = BinlogAlarm(context.endpoints, catalog, control, connect, chosen.binlog_hours_least)
    loader = Loader(ConnectTarget(context.endpoints, catalog, control))
    keep_looking((watcher.look, alarm.look, loader.look), stop, every or chosen.watch_seconds)


@app.command()
def preflight(
    ctx: typer.Context,
    seconds: Annotated[float, typer.Option(help="Search so long for zero dates on each server, at most.")] = 30,
) -> None:
    """Show what on the MySQL servers stands in the way, or will lose something, each with its remedy."""
    context: Context = ctx.obj
    converter = context.endpoints.connect.value_converter
    absent = {(item.server, item.database) for item in aside(_control(context))}
    findings = inspect(context.endpoints.mysql, load_catalog(context.settings.contracts).captured, absent, converter, seconds)
    for finding in findings:
        print(f"{finding.severity} {finding.subject}: {finding.what}\n  → {finding.remedy}")
    if not findings:
        print("nothing found")
    if any(finding.severity == "fatal" for finding in findings):
        raise typer.Exit(1)
