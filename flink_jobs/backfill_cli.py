"""`switchboard backfill`: recompute a job's result, compare it and swap it in."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table as Shown

from core.command import context_of
from core.errors import MisconfiguredError
from flink_jobs.backfill import Backfills
from flink_jobs.compare import ALL
from flink_jobs.composition import jobs_of, make_backfills
from flink_jobs.jobs import Job

app = typer.Typer(no_args_is_help=True)
JobName = Annotated[str, typer.Argument(help="The job whose result is recomputed.")]
console = Console(soft_wrap=True, highlight=False, markup=False)


def _backfills(ctx: typer.Context) -> Backfills:
    return make_backfills(context_of(ctx))


def _job(ctx: typer.Context, name: str) -> Job:
    return jobs_of(context_of(ctx).settings)[name]


@app.command()
def plan(
    ctx: typer.Context,
    job: JobName,
    start_time: Annotated[
        str, typer.Option("--from", help="Recompute rows from this time on, in UTC; copy older ones.")
    ] = "",
) -> None:
    """Store what `run` will do, and show it."""
    planned = _backfills(ctx).plan(_job(ctx, job), _moment(start_time) if start_time else None)
    what = (
        "its topics are replayed completely"
        if planned.start_time is None
        else f"rows since {planned.start_time:%Y-%m-%d %H:%M:%S} UTC are recomputed"
    )
    console.print(f"{job}: generation {planned.number}, beside the active one; {what}")
    if planned.start_time is not None:
        console.print("  older rows are copied by `run`; their later corrections are not applied")
    console.print(
        f"  next: `switchboard backfill run {job}`, while `switchboard land` runs; the live job continues"
    )


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise MisconfiguredError(
            f"--from {text!r} is not a time", "write it as 2026-01-31 or 2026-01-31T12:00:00"
        ) from error
    utc = moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return utc.replace(microsecond=0)  # the queries compare whole seconds


@app.command()
def run(
    ctx: typer.Context,
    job: JobName,
    hours: Annotated[
        float, typer.Option(help="Stop waiting after this time; run it again to continue.")
    ] = 12,
) -> None:
    """Replay the topics into the next generation, and wait until it has caught up. Idempotent."""
    backfills = _backfills(ctx)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        generation = backfills.run(_job(ctx, job), report, hours * 3600)
    console.print(
        f"{job}: generation {generation.number} has caught up; next: `switchboard backfill diff {job}`, then "
        "`swap`"
    )


@app.command()
def diff(
    ctx: typer.Context,
    job: JobName,
    rest: Annotated[float, typer.Option(help="Ignore keys that changed within this many seconds.")] = 30,
) -> None:
    """Compare the next generation with the active one, day by day. Exit status 1 if they differ."""
    found = _backfills(ctx).diff(_job(ctx, job), rest)
    shown = Shown("day", "active rows", "recomputed rows", "checksums", box=None)
    for day in found:
        shown.add_row(
            "all" if day.day == ALL else f"{day.day}",
            f"{day.rows:,}",
            f"{day.other_rows:,}",
            "equal" if day.equal else "different",
        )
    console.print(shown)
    if not all(day.same for day in found):
        raise typer.Exit(1)


@app.command()
def swap(ctx: typer.Context, job: JobName) -> None:
    """Activate the next generation: views, landers, jobs and streamer follow. `revert` undoes it."""
    console.print(f"{job}: generation {_backfills(ctx).swap(_job(ctx, job))} is active")


@app.command()
def revert(ctx: typer.Context, job: JobName) -> None:
    """Activate the generation from before the last swap again."""
    console.print(f"{job}: generation {_backfills(ctx).revert(_job(ctx, job))} is active")


@app.command()
def drop(ctx: typer.Context, job: JobName) -> None:
    """Remove the inactive generation: its job, its topic and its table. Idempotent."""
    removed = _backfills(ctx).drop(_job(ctx, job))
    console.print(f"{job}: removed {', '.join(f'generation {number}' for number in removed) or 'nothing'}")


@app.command()
def status(
    ctx: typer.Context, job: Annotated[str | None, typer.Argument(help="All if omitted.")] = None
) -> None:
    """Show the generations of each result, and which one is active."""
    backfills = _backfills(ctx)
    shown = Shown("job", "generation", "", "state", "computed since", "Flink", box=None)
    known = jobs_of(context_of(ctx).settings)
    for chosen in known if job is None else (known[job],):
        for found in backfills.status(chosen):
            since = (
                "the beginning" if found.start_time is None else f"{found.start_time:%Y-%m-%d %H:%M:%S} UTC"
            )
            shown.add_row(
                chosen.name,
                str(found.generation),
                "active" if found.active else "",
                found.state,
                since,
                found.job or "-",
            )
    console.print(shown)
