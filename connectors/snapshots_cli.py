"""`switchboard connectors snapshots`: progress of snapshots, live on a terminal, and commands to steer
them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table as Grid

from connectors.snapshot_tracker import COMPLETED, REQUESTED, SnapshotProgress, SnapshotTracker
from connectors.snapshots import pause_snapshots, resume_snapshots, stop_snapshots
from core.command import context_of
from core.control import open_control
from core.errors import MisconfiguredError
from core.settings import Context, MySqlServer

snapshots = typer.Typer(
    help="Show, pause, resume and stop snapshots.",
    pretty_exceptions_enable=False,
    invoke_without_command=True,
)
Server = Annotated[str | None, typer.Option(help="Only this MySQL server.")]


def tracker_of(context: Context) -> SnapshotTracker:
    """Returns the tracker of every server's snapshots. Blocks for the control database."""
    return SnapshotTracker(context.endpoints, open_control(context))


@snapshots.callback()
def show(ctx: typer.Context) -> None:
    """Show the last day's snapshots.

    On a terminal, follow the running ones until they end (Ctrl-C leaves them running).
    """
    if ctx.invoked_subcommand is not None:
        return
    context = context_of(ctx)
    tracker, console = tracker_of(context), Console()
    history = _history(context, tracker)
    if not console.is_terminal or not _any_running(history):
        shown = _table(history, _unproven(context, tracker)) if history else "no snapshot in the last day"
        console.print(shown)
        return
    with Live(_table(history, _unproven(context, tracker)), console=console, auto_refresh=False) as live:
        while _any_running(history):
            time.sleep(1)
            history = _history(context, tracker)
            live.update(_table(history, _unproven(context, tracker)), refresh=True)


def _unproven(context: Context, tracker: SnapshotTracker) -> frozenset[str]:
    return frozenset(name for server in context.endpoints.mysql for name in tracker.unproven(server.name))


def _history(context: Context, tracker: SnapshotTracker) -> list[tuple[str, SnapshotProgress]]:
    return [
        (server.name, snapshot)
        for server in context.endpoints.mysql
        for snapshot in tracker.history(server.name)
    ]


def _any_running(history: list[tuple[str, SnapshotProgress]]) -> bool:
    return any(snapshot.status == REQUESTED for _, snapshot in history)


def _table(history: list[tuple[str, SnapshotProgress]], unproven: frozenset[str]) -> Grid:
    grid = Grid("requested (UTC)", "collection", "", "", "rows", box=None)
    for server, snapshot in history:
        state = _state(snapshot)
        if state == COMPLETED and snapshot.collection in unproven:
            state = "COMPLETED, not yet proven"
        name = f"{server}/{snapshot.collection}" + (f" where {snapshot.where}" if snapshot.where else "")
        rows = "" if snapshot.rows is None else f"{snapshot.rows:,}"
        grid.add_row(f"{snapshot.requested_at:%m-%d %H:%M:%S}", name, state, _bar(snapshot) or "", rows)
    return grid


def _state(snapshot: SnapshotProgress) -> str:
    if snapshot.status != REQUESTED:
        return snapshot.status
    if snapshot.paused:
        return "PAUSED"
    return f"READING, key {snapshot.last_key} of {snapshot.maximum_key}" if snapshot.last_key else "WAITING"


def _bar(snapshot: SnapshotProgress) -> ProgressBar | None:
    """Estimates the progress from the key, if it is one number: assumes keys from zero without gaps."""
    if snapshot.status != REQUESTED or not (snapshot.last_key.isdigit() and snapshot.maximum_key.isdigit()):
        return None
    return ProgressBar(total=max(1, int(snapshot.maximum_key)), completed=int(snapshot.last_key), width=24)


@snapshots.command()
def pause(ctx: typer.Context, server: Server = None) -> None:
    """Pause reading chunks; the stream continues. A restart of the connector may end the pause."""
    context = context_of(ctx)
    for chosen in _chosen(context, server):
        pause_snapshots(context.endpoints.kafka, chosen.name)
        print(f"{chosen.name}: pause requested")


@snapshots.command()
def resume(ctx: typer.Context, server: Server = None) -> None:
    """Resume paused snapshots."""
    context = context_of(ctx)
    for chosen in _chosen(context, server):
        resume_snapshots(context.endpoints.kafka, chosen.name)
        print(f"{chosen.name}: resume requested")


@snapshots.command()
def stop(
    ctx: typer.Context,
    collection: Annotated[list[str] | None, typer.Argument(help="DATABASE.TABLE; all by default.")] = None,
    server: Server = None,
) -> None:
    """Remove snapshots from the queue. The next `switchboard apply` requests them again."""
    context = context_of(ctx)
    for chosen in _chosen(context, server):
        stop_snapshots(context.endpoints.kafka, chosen.name, collection or ())
        print(
            f"{chosen.name}: stop requested for {', '.join(collection) if collection else 'every snapshot'}"
        )


def _chosen(context: Context, server: str | None) -> Iterator[MySqlServer]:
    known = [item for item in context.endpoints.mysql if server in (None, item.name)]
    if not known:
        raise MisconfiguredError(
            f"there is no MySQL server {server!r}", "`switchboard endpoints --json` lists them"
        )
    yield from known
