"""`switchboard plan` and `switchboard apply`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from core.command import context_of
from core.control import ControlDatabase, open_control
from core.control.models import ApplyRun
from core.control.result_versions import active_versions
from core.control.runs import recorded
from core.settings import Context
from schemas.catalog import load as load_catalog
from schemas.plan_step import Step
from switchboard.plan import plan as planning

MARKS = {
    "create": "[green]+[/green]",
    "change": "[yellow]~[/yellow]",
    "drop": "[red]-[/red]",
    "run": "[cyan]>[/cyan]",
}


def all_planners(context: Context, control: ControlDatabase) -> list[planning.Planner]:
    """Returns the planners of the settings' contracts, and prints those that are refused. Blocks for the
    control database."""
    catalog = load_catalog(context.settings.contracts).with_generations(active_versions(control))
    for refused in catalog.refused:
        Console(soft_wrap=True).print(
            f"! contract {refused.name}: refused, {refused.reason}", highlight=False, markup=False
        )
    return planning.make_planners(context.endpoints, context.settings, catalog, control)


def plan(ctx: typer.Context) -> None:
    """Show the changes that the contracts require in topics, ClickHouse and Connect, and apply none of
    them."""
    context = context_of(ctx)
    steps = planning.plan(all_planners(context, open_control(context)))
    for step in steps:
        show(step)
    Console().print(
        "nothing to do" if not steps else f"{len(steps)} steps; `switchboard apply` carries them out"
    )


def apply(
    ctx: typer.Context,
    allow: Annotated[list[str] | None, typer.Option(help="Allow this step to lose data.")] = None,
) -> None:
    """Apply the plan to topics, ClickHouse and Connect. Idempotent."""
    context = context_of(ctx)
    control = open_control(context)
    record = ApplyRun(contracts=context.settings.contracts, allowed=allow or [], steps=[])
    with recorded(control, record) as run:

        def report(step: Step) -> None:
            show(step)
            run.steps.append(f"{step.approval_token} {step.action}")

        count = planning.apply(all_planners(context, control), frozenset(allow or ()), report)
    Console().print("nothing to do" if not count else f"{count} steps done")


def show(step: Step) -> None:
    """Prints a step, its changes and, if it loses data, how to allow it."""
    console = Console(soft_wrap=True)
    console.print(
        f"{MARKS[step.action]} {step.target} [bold]{step.subject}[/bold]: {step.summary}", highlight=False
    )
    for line in step.diff:
        console.print(f"    {line}", highlight=False, markup=False)
    if step.destructive:
        console.print(
            f"    [red]loses data[/red]: allow it by --allow {step.approval_token}", highlight=False
        )
