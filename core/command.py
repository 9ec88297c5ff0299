"""What a command gets from the command line around it."""

from __future__ import annotations

import typer

from core.settings import Context


def context_of(command: typer.Context) -> Context:
    """Returns the settings and endpoints that `switchboard` was started with."""
    context = command.obj
    assert isinstance(context, Context)
    return context
