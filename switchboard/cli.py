"""The `switchboard` command: the packages' commands, loaded on demand, and the only handler that prints
errors."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import typer
from rich.console import Console

TRACE = "SWITCHBOARD_TRACE"
COMMANDS = {
    "up": ("switchboard.stack.cli:up", "Start the local stack."),
    "down": ("switchboard.stack.cli:down", "Stop the local stack; its data is kept."),
    "status": ("switchboard.stack.cli:status", "Show the local stack's servers."),
    "logs": ("switchboard.stack.cli:logs", "Print the end of a server's log."),
    "endpoints": ("switchboard.stack.cli:endpoints", "Print every server's address and credentials."),
    "setup": ("switchboard.stack.cli:setup", "Fetch the local stack's packages."),
    "plan": ("switchboard.plan.cli:plan", "Show the changes that the contracts require."),
    "apply": ("switchboard.plan.cli:apply", "Apply the plan."),
    "contracts": (
        "switchboard.contracts_cli:app",
        "Print what is rendered from a contract, or import contracts.",
    ),
    "connectors": ("connectors.cli:app", "Manage the source connectors."),
    "flink": ("flink_jobs.cli:app", "Manage the Flink jobs."),
    "backfill": ("flink_jobs.backfill_cli:app", "Recompute a job's result, compare it, and swap it in."),
    "land": ("consumers.cli:land", "Land change topics in ClickHouse, in the foreground."),
    "lag": ("switchboard.lag:lag", "Show each table's freshness, stage by stage."),
    "dlq": ("consumers.cli:dlq", "List, show and replay dead letters."),
    "stream": ("streamer.cli:stream", "Serve the live views and the supervisors' page."),
    "token": ("streamer.cli:token", "Print a token for the live views, in the local profile."),
    "verify": ("verify.cli:verify", "Compare ClickHouse with MySQL."),
    "demo": ("switchboard.demo:demo", "Run the whole platform on sample traffic, then verify."),
}


def build(wanted: str) -> typer.Typer:
    """Returns the application with all commands by name and help; only `wanted` is imported, as some packages
    take a second to load."""
    app = typer.Typer(
        help="A Kafka-first streaming and change-data-capture platform.",
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    for name, (target, text) in COMMANDS.items():
        command = _load(target) if name == wanted else _unloaded
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, help=text)
        else:
            app.command(name, help=None if name == wanted else text)(command)
    return app


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _unloaded() -> None:
    """Placeholder of a command that is not loaded."""


def main() -> None:
    """Runs the command.

    Exit status: 0 success, 1 a difference or an error, 2 wrong usage, 130 interrupted.
    """
    from core.errors import SwitchboardError
    from switchboard import context

    wanted = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    try:
        build(wanted)(obj=context.load())
    except KeyboardInterrupt:
        sys.exit(130)
    except SwitchboardError as error:
        _fail(error.what, error.remedy)
    except OSError as error:
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", "")
    except Exception as error:
        if TRACE in os.environ:
            raise
        lines = str(error).strip().splitlines() or [""]
        _fail(
            f"{type(error).__name__}: {lines[0]}",
            f"unexpected: run it again with {TRACE}=1 for the trace, and report it",
        )


def _fail(what: str, remedy: str) -> None:
    console = Console(stderr=True)
    console.print("error:", style="red", end=" ")
    console.print(what, highlight=False, markup=False, soft_wrap=True)
    if remedy:
        console.print(f"  → {remedy}", highlight=False, markup=False, soft_wrap=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
