"""`switchboard plan` and `switchboard apply`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from core.control import ControlDatabase
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


def all_planners(ctx: Context) -> list[planning.Planner]:
    """Returns all planners, after it has migrated the control database."""
    return _planners(ctx, _control(ctx))


def _control(ctx: Context) -> ControlDatabase:
    control = ControlDatabase(ctx.endpoints.mysql[0], ctx.settings.control_database)
    control.migrate()
    return control


def _planners(ctx: Context, control: ControlDatabase) -> list[planning.Planner]:
    catalog = load_catalog(ctx.settings.contracts).with_generations(active_versions(control))
    return planning.make_planners(ctx.endpoints, ctx.settings, catalog, control)


def plan(ctx: typer.Context) -> None:
    """Show the changes that the contracts require in topics, ClickHouse and Connect, and apply none of
    them."""
    steps = planning.plan(all_planners(ctx.obj))
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
    control = _control(ctx.obj)
    record = ApplyRun(contracts=ctx.obj.settings.contracts, allowed=allow or [], steps=[])
    with recorded(control, record) as run:

        def report(step: Step) -> None:
            show(step)
            run.steps.append(f"{step.approval_token} {step.action}")

        count = planning.apply(_planners(ctx.obj, control), frozenset(allow or ()), report)
    Console().print("nothing to do" if not count else f"{count} steps done")


def show(step: Step) -> None:
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
