"""`switchboard backfill`: a job's result made anew, compared and swapped in."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table as Shown

from core.control import ControlDatabase
from core.errors import MisconfiguredError
from core.settings import Context
from flink_jobs import client
from flink_jobs.backfill import Backfills
from flink_jobs.compare import ALL
from flink_jobs.jobs import JOBS, job_named
from schemas.catalog import load as load_catalog

app = typer.Typer(no_args_is_help=True)
JobName = Annotated[str, typer.Argument(help="The job whose result is made anew.")]
console = Console(soft_wrap=True, highlight=False, markup=False)


def _backfills(ctx: typer.Context) -> Backfills:
    context: Context = ctx.obj
    control = ControlDatabase(context.endpoints.mysql[0], context.settings.control_database)
    control.migrate()
    contracts = load_catalog(context.settings.contracts)
    flink = client.load(context.settings.home, context.endpoints.flink, context.settings.flink)
    return Backfills(context.endpoints, context.settings, contracts, control, flink)


@app.command()
def plan(
    ctx: typer.Context,
    job: JobName,
    begins: Annotated[str, typer.Option("--from", help="Rows from this time on, in UTC, are computed anew; older ones taken over.")] = "",
) -> None:
    """Say what `run` will do, and remember it. Nothing is changed yet."""
    planned = _backfills(ctx).plan(job_named(job), _moment(begins) if begins else None)
    what = (
        "its topics are replayed whole"
        if planned.begins is None
        else f"rows since {planned.begins:%Y-%m-%d %H:%M:%S} UTC are computed anew"
    )
    console.print(f"{job}: generation {planned.number}, beside the one in force; {what}")
    if planned.begins is not None:
        console.print("  older rows are taken over as they stand at the run, and later corrections of those are not followed")
    console.print(f"  next: `switchboard backfill run {job}`, while `switchboard land` runs; the live job goes on")


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise MisconfiguredError(f"--from {text!r} is not a time", "write it as 2026-01-31 or 2026-01-31T12:00:00") from error
    utc = moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return utc.replace(microsecond=0)  # the queries that cut there know seconds alone


@app.command()
def run(
    ctx: typer.Context,
    job: JobName,
    hours: Annotated[float, typer.Option(help="Give up waiting after so long; run it again to go on.")] = 12,
) -> None:
    """Replay the topics into the next generation, and wait until it has caught up. Safe to repeat."""
    backfills = _backfills(ctx)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        made = backfills.run(job_named(job), tell, hours * 3600)
    console.print(f"{job}: generation {made.number} has caught up; next: `switchboard backfill diff {job}`, then `swap`")


@app.command()
def diff(
    ctx: typer.Context,
    job: JobName,
    rest: Annotated[float, typer.Option(help="Keys that changed within so many seconds are left out.")] = 30,
) -> None:
    """Compare the next generation with the one in force, a day at a time. Exit status 1 if they differ."""
    found = _backfills(ctx).diff(job_named(job), rest)
    shown = Shown("day", "rows in force", "rows made anew", "checksums", box=None)
    for day in found:
        shown.add_row(
            "all" if day.day == ALL else f"{day.day}", f"{day.rows:,}", f"{day.other_rows:,}", "equal" if day.equal else "different"
        )
    console.print(shown)
    if not all(day.same for day in found):
        raise typer.Exit(1)


@app.command()
def swap(ctx: typer.Context, job: JobName) -> None:
    """Put the next generation in force: views, landers, jobs and streamer follow. `revert` takes it back."""
    console.print(f"{job}: generation {_backfills(ctx).swap(job_named(job))} is in force")


@app.command()
def revert(ctx: typer.Context, job: JobName) -> None:
    """Put the generation from before the last swap back in force."""
    console.print(f"{job}: generation {_backfills(ctx).revert(job_named(job))} is in force")


@app.command()
def drop(ctx: typer.Context, job: JobName) -> None:
    """Remove the generation that is not in force: its job, its topic and its table. Safe to repeat."""
    removed = _backfills(ctx).drop(job_named(job))
    console.print(f"{job}: removed {', '.join(f'generation {number}' for number in removed) or 'nothing'}")


@app.command()
def status(ctx: typer.Context, job: Annotated[str | None, typer.Argument(help="All if none is named.")] = None) -> None:
    """Show the generations of each result, and which is in force."""
    backfills = _backfills(ctx)
    shown = Shown("job", "generation", "", "state", "computed since", "Flink", box=None)
    for chosen in JOBS if job is None else (job_named(job),):
        for found in backfills.status(chosen):
            since = "the beginning" if found.begins is None else f"{found.begins:%Y-%m-%d %H:%M:%S} UTC"
            shown.add_row(chosen.name, str(found.generation), "in force" if found.in_force else "", found.state, since, found.job or "-")
    console.print(shown)
