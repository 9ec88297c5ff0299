"""`switchboard connectors`: manages connectors, snapshots and quarantined shards."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as Shown

from connectors.auto_remediation import BinlogRetentionMonitor, CaptureMonitor, QuarantinePolicy
from connectors.capture_service import CaptureService
from connectors.hanging_transactions import HangingTransactionMonitor
from connectors.logs import LOGGERS, lines_of
from connectors.preflight import inspect
from connectors.quarantine import Quarantine
from connectors.rest import KafkaConnect
from connectors.snapshots_cli import snapshots, tracker_of
from connectors.supervisor import ConnectorSupervisor, poll_until_stopped
from core import logging, metrics
from core.clients import mysql
from core.command import context_of
from core.control import open_control
from core.control.quarantine_store import list_quarantined
from core.errors import MisconfiguredError
from core.java_trace import root_cause
from core.shutdown import stop_on_signal
from schemas.catalog import load as load_catalog
from schemas.render.connect import connector_name

app = typer.Typer(help="Manage the source connectors.", pretty_exceptions_enable=False, no_args_is_help=True)
offsets = typer.Typer(
    help="Show or reset a connector's offsets.", pretty_exceptions_enable=False, no_args_is_help=True
)
app.add_typer(offsets, name="offsets")
app.add_typer(snapshots, name="snapshots")

FORWARDED_VERBS = {
    "pause": "Pause the connector; its tasks stay.",
    "resume": "Resume the connector.",
    "restart": "Restart the connector and its tasks.",
    "stop": "Stop the connector and its tasks, as a reset of offsets requires.",
}
"""Verbs that are forwarded to Kafka Connect without change."""


def _connect(ctx: typer.Context) -> KafkaConnect:
    return KafkaConnect(context_of(ctx).endpoints.connect)


def _forwarding(verb: str) -> Callable[[typer.Context, str], None]:
    def call(ctx: typer.Context, name: str) -> None:
        _connect(ctx).change(name, verb)
        print(f"{name}: {verb} accepted")

    return call


for _verb, _help in FORWARDED_VERBS.items():
    app.command(_verb, help=_help)(_forwarding(_verb))


@app.command()
def delete(
    ctx: typer.Context, name: str, sure: Annotated[bool, typer.Option("--yes", help="Confirm.")] = False
) -> None:
    """Delete the connector.

    Its offsets stay in Kafka: a connector that is created again continues from there.
    """
    connect = _connect(ctx)
    if connect.config(name) is None:
        raise MisconfiguredError(
            f"there is no connector {name!r}", "`switchboard connectors list` lists them"
        )
    if not sure:
        what = (
            f"without {name} no change of its server is captured; once the binlog is purged, the changes are "
            "lost"
        )
        raise MisconfiguredError(what, "add --yes; `switchboard apply` creates it again")
    connect.delete(name)
    print(
        f"{name}: deleted; `switchboard apply` creates it again, and it continues from its offsets if the "
        "binlog still retains them"
    )


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
    """Show a connector's state and, after a failure, its root cause."""
    found = _connect(ctx).status(name)
    if not found:
        raise MisconfiguredError(
            f"there is no connector {name!r}", "`switchboard connectors list` lists them"
        )
    for part in (found["connector"], *found["tasks"]):
        label = f"task {part['id']}" if "id" in part else "connector"
        cause = f": {root_cause(part['trace'])}" if "trace" in part else ""
        print(f"{label} {part['state']}{cause}")


@app.command()
def logs(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Only events of this connector.")] = None,
    lines: Annotated[int, typer.Option(help="Number of lines to print.")] = 40,
    level: Annotated[
        str | None, typer.Option(help="Set Connect's log level: ERROR, WARN, INFO, DEBUG or TRACE.")
    ] = None,
) -> None:
    """Print the end of Connect's log, of one connector or all; or set Connect's log level."""
    context = context_of(ctx)
    if level is not None:
        for logger in LOGGERS:
            _connect(ctx).set_level(logger, level.upper())
        print(f"{' and '.join(LOGGERS)} log {level.upper()} on every worker, until it restarts")
        return
    log = context.settings.home / "logs" / "connect.log"
    if context.settings.endpoints is not None or not log.exists():
        raise MisconfiguredError("Connect's log is on its own machines", "`--level DEBUG` works from here")
    servers = [server.name for server in context.endpoints.mysql if connector_name(server.name) == name]
    names = (
        () if name is None else (name, *servers, *(f"debezium-mysqlconnector-{server}" for server in servers))
    )
    for line in lines_of(log, names, lines):
        print(line)


@offsets.command("show")
def show_offsets(ctx: typer.Context, name: str) -> None:
    """Show the binlog position that Kafka holds for a connector."""
    print(json.dumps(_connect(ctx).offsets(name), indent=1))


@offsets.command("reset")
def reset_offsets(
    ctx: typer.Context, name: str, sure: Annotated[bool, typer.Option("--yes", help="Confirm.")] = False
) -> None:
    """Reset the offsets.

    Changes until the connector runs again are missing until every table is re-snapshotted and verified.
    """
    if not sure:
        raise MisconfiguredError(
            f"resetting the offsets of {name} loses its position in the binlog",
            "add --yes; every table is re-snapshotted then",
        )
    context = context_of(ctx)
    service = CaptureService(
        context.endpoints, load_catalog(context.settings.contracts), open_control(context)
    )
    reason = f"the offsets of {name} were reset: changes and deletes of that time are missing"
    servers = [server for server in context.endpoints.mysql if connector_name(server.name) == name]
    for server in servers:
        service.invalidate(server, reason)
    _connect(ctx).reset_offsets(name)
    for server in servers:  # again, as a verification that began before the reset proves nothing
        service.invalidate(server, reason)
    print(f"{name}: offsets reset; its tables need a snapshot and a verification, as `switchboard lag` shows")
    print(
        f"  → `switchboard connectors resume {name}`, `switchboard apply`, and after the snapshots "
        "`switchboard verify --repair`"
    )


@app.command()
def snapshot(
    ctx: typer.Context,
    table: str,
    where: Annotated[str | None, typer.Option(help="SQL condition; only these rows.")] = None,
) -> None:
    """Request a snapshot of a table on every shard that is not quarantined, beside the stream."""
    context = context_of(ctx)
    chosen = load_catalog(context.settings.contracts).captured[table]
    absent = {(item.server, item.database) for item in list_quarantined(open_control(context))}
    for server in context.endpoints.mysql:
        present = [
            name
            for name in mysql.databases(server)
            if chosen.source.matches(name) and (server.name, name) not in absent
        ]
        collections = [f"{database}.{table}" for database in present]
        if collections:
            tracker_of(context).request(server.name, collections, where)
            print(
                f"{server.name}: requested {', '.join(collections)}; `connectors snapshots` shows the "
                "progress"
            )


@app.command()
def quarantine(
    ctx: typer.Context,
    server: Annotated[str | None, typer.Argument(help="The MySQL server's name.")] = None,
    database: Annotated[str | None, typer.Argument(help="The shard.")] = None,
    reason: Annotated[str, typer.Option(help="The reason, for other operators.")] = "by hand",
    release: Annotated[bool, typer.Option("--release", help="Release the shard.")] = False,
) -> None:
    """Quarantine a failing shard so that the others continue; list quarantined shards; release a repaired
    one."""
    context = context_of(ctx)
    control = open_control(context)
    if server is None or database is None:
        for item in list_quarantined(control):
            by = " automatically" if item.automatic else ""
            print(
                f"{item.server} {item.database} since {item.since:%Y-%m-%d %H:%M:%S} UTC{by}: {item.reason}"
            )
        return
    quarantined = Quarantine(context.endpoints, load_catalog(context.settings.contracts), control)
    if release:
        requested = quarantined.release(server, database)
        print(
            f"{server}: {database} is released; requested snapshots of {', '.join(requested) or 'no table'}"
        )
        print(
            "  → deletes since the quarantine are still missing: after the snapshots, `switchboard verify "
            "--repair`"
        )
        return
    tables = quarantined.quarantine(server, database, reason)
    print(f"{server}: {database} is quarantined; its tables are not updated: {', '.join(tables) or 'none'}")
    print(f"  → repair it, then `switchboard connectors quarantine {server} {database} --release`")


@app.command()
def watch(
    ctx: typer.Context,
    every: Annotated[float | None, typer.Option(help="Seconds between polls.")] = None,
    metrics_port: Annotated[int, typer.Option(help="Prometheus port; 0 for a free one.")] = 0,
) -> None:
    """Supervise connectors until SIGTERM or Ctrl-C: restart failed tasks, abort hanging transactions,
    quarantine a failing shard, mark tables that DDL invalidates, read tables again of which changes were
    skipped, request lost snapshots again, alert on binlog retention."""
    context = context_of(ctx)
    logging.configure()
    stop = stop_on_signal()
    logging.get("connectors").info("metrics", port=metrics.serve(metrics_port))
    chosen, connect = context.settings.connectors, _connect(ctx)
    catalog, control = load_catalog(context.settings.contracts), open_control(context)
    supervisor = ConnectorSupervisor(
        connect, QuarantinePolicy(context.endpoints, catalog, control, chosen.quarantine_after)
    )
    monitor = BinlogRetentionMonitor(context.endpoints, catalog, control, connect, chosen.min_binlog_hours)
    captures = CaptureMonitor(CaptureService(context.endpoints, catalog, control))
    transactions = HangingTransactionMonitor(context.endpoints, catalog, chosen.hanging_transaction_seconds)
    seconds = every or chosen.watch_seconds
    # In a thread of its own, as Connect may wait for a hanging transaction, and the other polls for Connect.
    threading.Thread(
        target=poll_until_stopped,
        args=((transactions.poll,), stop, seconds),
        name="transactions",
        daemon=True,
    ).start()
    poll_until_stopped((supervisor.poll, monitor.poll, captures.poll), stop, seconds)


@app.command()
def preflight(
    ctx: typer.Context,
    seconds: Annotated[float, typer.Option(help="Maximum search time for zero dates per server.")] = 30,
) -> None:
    """Check the MySQL servers for settings and tables that prevent or lose changes, and print remedies."""
    context = context_of(ctx)
    converter = context.endpoints.connect.value_converter
    absent = {(item.server, item.database) for item in list_quarantined(open_control(context))}
    findings = inspect(
        context.endpoints.mysql, load_catalog(context.settings.contracts).captured, absent, converter, seconds
    )
    for finding in findings:
        print(f"{finding.severity} {finding.subject}: {finding.what}\n  → {finding.remedy}")
    if not findings:
        print("no findings")
    if any(finding.severity == "fatal" for finding in findings):
        raise typer.Exit(1)
