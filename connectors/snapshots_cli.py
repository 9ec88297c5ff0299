"""`switchboard connectors snapshots`: what is being read, live on a terminal, and its verbs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table as Shown

from connectors.loads import REQUESTED, Loads, Progress
from connectors.snapshots import pause_snapshots, resume_snapshots, stop_snapshots
from core.control import ControlDatabase
from core.errors import MisconfiguredError
from core.settings import Context, MySqlServer

snapshots = typer.Typer(help="Show and steer what is being read.", pretty_exceptions_enable=False, invoke_without_command=True)
Server = Annotated[str | None, typer.Option(help="Only of this MySQL server.")]


def loads_of(context: Context) -> Loads:
    control = ControlDatabase(context.endpoints.mysql[0], context.settings.control_database)
    control.migrate()
    return Loads(context.endpoints, control)


@snapshots.callback()
def show(ctx: typer.Context) -> None:
    """Show the last day's snapshots; on a terminal, follow those under way to their end (Ctrl-C leaves them running)."""
    if ctx.invoked_subcommand is not None:
        return
    context: Context = ctx.obj
    loads, console = loads_of(context), Console()
    found = _found(context, loads)
    if not console.is_terminal or not _under_way(found):
        console.print(_table(found) if found else "no snapshot in the last day")
        return
    with Live(_table(found), console=console, auto_refresh=False) as live:
        while _under_way(found):
            time.sleep(1)
            found = _found(context, loads)
            live.update(_table(found), refresh=True)


def _found(context: Context, loads: Loads) -> list[tuple[str, Progress]]:
    return [(server.name, load) for server in context.endpoints.mysql for load in loads.shown(server.name)]


def _under_way(found: list[tuple[str, Progress]]) -> bool:
    return any(load.status == REQUESTED for _, load in found)


def _table(found: list[tuple[str, Progress]]) -> Shown:
    shown = Shown("asked for (UTC)", "collection", "", "", "rows", box=None)
    for server, load in found:
        state = _state(load)
        name = f"{server}/{load.collection}" + (f" where {load.where}" if load.where else "")
        rows = "" if load.rows is None else f"{load.rows:,}"
        shown.add_row(f"{load.asked_at:%m-%d %H:%M:%S}", name, state, _bar(load) or "", rows)
    return shown


def _state(load: Progress) -> str:
    if load.status != REQUESTED:
        return load.status
    if load.paused:
        return "PAUSED"
    return f"READING, key {load.last_key} of {load.maximum_key}" if load.last_key else "WAITING"


def _bar(load: Progress) -> ProgressBar | None:
    """By the key, which tells how far only where it is one number; as if keys began at zero and had no gaps."""
    if load.status != REQUESTED or not (load.last_key.isdigit() and load.maximum_key.isdigit()):
        return None
    return ProgressBar(total=max(1, int(load.maximum_key)), completed=int(load.last_key), width=24)


@snapshots.command()
def pause(ctx: typer.Context, server: Server = None) -> None:
    """Read no further chunk; the stream goes on. A restart of the connector may forget it."""
    for chosen in _chosen(ctx.obj, server):
        pause_snapshots(ctx.obj.endpoints.kafka, chosen.name)
        print(f"{chosen.name}: asked to pause")


@snapshots.command()
def resume(ctx: typer.Context, server: Server = None) -> None:
    """Go on reading."""
    for chosen in _chosen(ctx.obj, server):
        resume_snapshots(ctx.obj.endpoints.kafka, chosen.name)
        print(f"{chosen.name}: asked to resume")


@snapshots.command()
def stop(
    ctx: typer.Context,
    collection: Annotated[list[str] | None, typer.Argument(help="DATABASE.TABLE; all if none is named.")] = None,
    server: Server = None,
) -> None:
    """Take snapshots out of the queue. The next `switchboard apply` asks for them again."""
    for chosen in _chosen(ctx.obj, server):
        stop_snapshots(ctx.obj.endpoints.kafka, chosen.name, collection or ())
        print(f"{chosen.name}: asked to stop {', '.join(collection) if collection else 'every snapshot'}")


def _chosen(context: Context, server: str | None) -> Iterator[MySqlServer]:
    known = [item for item in context.endpoints.mysql if server in (None, item.name)]
    if not known:
        raise MisconfiguredError(f"there is no MySQL server {server!r}", "`switchboard endpoints --json` names them")
    yield from known
