"""Commands of the local stack."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from pydantic import BaseModel, SecretStr
from rich.console import Console
from rich.table import Table

from core.errors import MisconfiguredError
from switchboard import stack
from switchboard.stack import health, parts
from switchboard.stack.progress import Progress


def setup(ctx: typer.Context) -> None:
    """Fetch what the local stack needs: jars, MySQL, Java if there is none."""
    stack.setup(ctx.obj.settings.home, Progress())


def up(ctx: typer.Context) -> None:
    """Start the local stack and wait until every server answers."""
    stack.up(ctx.obj.settings.home, Progress())


def down(ctx: typer.Context) -> None:
    """Stop the local stack. Its data stays for the next `up`."""
    stack.down(ctx.obj.settings.home)


def status(ctx: typer.Context) -> None:
    """Show each server: whether it answers, for how long, where its log is."""
    home = ctx.obj.settings.home
    shown = Table("server", "state", "answers", "pid", "up for", "log", box=None)
    for part in stack.statuses(home):
        answers = "yes" if health.answers(part.name, stack.endpoints(home)) else "no"
        shown.add_row(part.name, part.state, answers, str(part.pid), f"{part.seconds} s", f"{home}/logs/{part.name}.log")
    if not shown.row_count:
        raise MisconfiguredError("the stack is not up", "run `switchboard up`")
    Console().print(shown)


def logs(ctx: typer.Context, part: str, lines: Annotated[int, typer.Option(help="How many lines.")] = 40) -> None:
    """Print the end of a server's log."""
    if part not in parts.MAKERS:
        raise MisconfiguredError(f"there is no server {part!r}", f"one of {', '.join(parts.MAKERS)}")
    print(health.tail(ctx.obj.settings.home / "logs" / f"{part}.log", lines))


def endpoints(ctx: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Print host, port, user and password of every server, for any client of yours."""
    plain = _plain(ctx.obj.endpoints)
    if as_json:
        print(json.dumps(plain, indent=1))
        return
    for name, value in plain.items():
        print(f"{name}: {json.dumps(value)}")


def _plain(value: Any) -> Any:
    """With the passwords, which this command exists to tell."""
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
