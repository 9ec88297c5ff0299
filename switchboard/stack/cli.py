"""Commands of the local stack."""

from __future__ import annotations

import datetime as dt
import json
from typing import Annotated, Any

import typer
from pydantic import BaseModel, SecretStr
from rich.console import Console
from rich.table import Table

from core.errors import MisconfiguredError
from switchboard import stack
from switchboard.stack import health, parts
from switchboard.stack.deaths import Death
from switchboard.stack.progress import Progress

Everything = Annotated[bool, typer.Option("--all", help="With the lake (SeaweedFS) and Flink.")]


def setup(ctx: typer.Context, everything: Everything = False) -> None:
    """Fetch what the local stack needs: jars, MySQL, Java if there is none."""
    stack.setup(ctx.obj.settings.home, Progress(), wanted=_wanted(everything))


def up(ctx: typer.Context, everything: Everything = False) -> None:
    """Start the local stack and wait until every server answers."""
    stack.up(ctx.obj.settings.home, Progress(), _wanted(everything))


def _wanted(everything: bool) -> tuple[str, ...]:
    return parts.BASE + parts.EXTRA if everything else parts.BASE


def down(
    ctx: typer.Context,
    discard: Annotated[bool, typer.Option("--discard", help="End it at once and remove its data; logs and fetched files stay.")] = False,
) -> None:
    """Stop the local stack. Its data stays for the next `up`."""
    (stack.discard if discard else stack.down)(ctx.obj.settings.home)


def status(ctx: typer.Context) -> None:
    """Show each server: whether it answers, its memory, how often it died and was started again, and what it said."""
    home = ctx.obj.settings.home
    found = stack.statuses(home)
    if not found:
        raise MisconfiguredError("the stack is not up", "run `switchboard up`")
    shown = Table("server", "state", "answers", "pid", "up for", "memory", "restarts", box=None)
    for part in found:
        answers = "yes" if health.answers(part.name, stack.endpoints(home)) else "no"
        restarts = str(len(part.deaths)) if part.deaths else "-"
        shown.add_row(part.name, part.state, answers, str(part.pid), f"{part.seconds} s", f"{part.memory >> 20} MB", restarts)
    console = Console()
    console.print(shown)
    console.print(f"\n{sum(part.memory for part in found) >> 20} MB in all; logs are in {home}/logs", highlight=False)
    for part in found:
        if part.deaths:
            _tell_death(console, part.deaths[-1])


def _tell_death(console: Console, death: Death) -> None:
    at = dt.datetime.fromtimestamp(death.at, dt.UTC)
    console.print(f"\n{death.part} died last at {at:%H:%M:%S} UTC ({death.how}). It said:", highlight=False)
    console.print(death.said or "(nothing)", markup=False, highlight=False, soft_wrap=True)


def logs(ctx: typer.Context, part: str, lines: Annotated[int, typer.Option(help="How many lines.")] = 40) -> None:
    """Print the end of a server's log."""
    if part not in parts.MAKERS:
        raise MisconfiguredError(f"there is no server {part!r}", f"one of {', '.join(parts.MAKERS)}")
    print(health.tail(ctx.obj.settings.home / "logs" / f"{part}.log", lines))


def endpoints(ctx: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Print host, port, user and password of every server, for any client of yours."""
    values = plain(ctx.obj.endpoints)
    if as_json:
        print(json.dumps(values, indent=1))
        return
    for name, value in values.items():
        print(f"{name}: {json.dumps(value)}")


def plain(value: Any) -> Any:
    """With the passwords. As JSON in ``SWITCHBOARD_ENDPOINTS`` it tells any command where the servers are."""
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return [plain(item) for item in value] if isinstance(value, tuple) else value
