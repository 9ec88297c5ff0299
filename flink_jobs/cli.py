"""`switchboard flink`: the jobs, over Flink's REST API."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as Shown

from core.command import context_of
from core.control import open_control
from flink_jobs.composition import jobs_of, make_submitter
from flink_jobs.jobs import Job
from flink_jobs.rest import Flink, JobStatus
from flink_jobs.submit import endpoint_of, outdated, running_job
from flink_jobs.submit import stop as stop_job

app = typer.Typer(no_args_is_help=True)
JobName = Annotated[str, typer.Argument(help="The job's name, as `list` shows it.")]
console = Console(soft_wrap=True, highlight=False, markup=False)


def _flink(ctx: typer.Context) -> Flink:
    return Flink(endpoint_of(context_of(ctx)))


def _job(ctx: typer.Context, name: str) -> Job:
    return jobs_of(context_of(ctx).settings)[name]


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """Show every job and its state. A backfill is listed by its job's name and its generation."""
    latest: dict[str, JobStatus] = {}
    for known in reversed(_flink(ctx).jobs()):
        latest[known.name] = known
    known_jobs = [job.name for job in jobs_of(context_of(ctx).settings)]
    names = dict.fromkeys(
        [*known_jobs, *(name for name in sorted(latest) if name.partition(".g")[0] in known_jobs)]
    )
    shown = Shown("job", "state", "since", "id", box=None)
    for name in names:
        found = latest.get(name)
        since = (
            ""
            if found is None
            else f"{dt.datetime.fromtimestamp(found.started_ms / 1000, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
        )
        shown.add_row(
            name,
            "never submitted" if found is None else found.state,
            since,
            "" if found is None else found.id,
        )
    console.print(shown)


@app.command()
def submit(
    ctx: typer.Context,
    jobs: Annotated[list[str] | None, typer.Argument(help="All if omitted.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start at the beginning of the topics, without a checkpoint.")
    ] = False,
) -> None:
    """Start the jobs that do not run, each from its newest checkpoint; without one, from the beginning of its
    topics."""
    known = jobs_of(context_of(ctx).settings)
    chosen = [known[name] for name in jobs] if jobs else list(known)
    for name, identity in make_submitter(context_of(ctx)).submit(chosen, fresh=fresh).items():
        console.print(f"{name}: {identity}")


@app.command()
def status(ctx: typer.Context, job: JobName) -> None:
    """Show a job's state, its newest checkpoint, and its last failure."""
    flink = _flink(ctx)
    found = running_job(flink, job)
    checkpoints = flink.checkpoints(found.id)
    newest = (checkpoints.get("latest") or {}).get("completed") or {}
    console.print(f"{job}: {found.state}, id {found.id}")
    console.print(
        f"checkpoints: {checkpoints['counts']['completed']} completed, {checkpoints['counts']['failed']} "
        "failed"
    )
    if newest:
        size, duration = newest["state_size"], newest["end_to_end_duration"]
        console.print(
            f"newest checkpoint: {size:,} bytes of state in {duration} ms, at {newest['external_path']}"
        )
    if cause := flink.cause(found.id):
        console.print(f"last failure: {cause}")
    if recreated := outdated(open_control(context_of(ctx)), found.id):
        remedy = f"`switchboard flink cancel {job}`, then `flink submit --fresh {job}`"
        console.print(f"recreated since its submission: {', '.join(recreated)}; run {remedy}")


@app.command()
def savepoint(ctx: typer.Context, job: JobName) -> None:
    """Write a savepoint; the job continues."""
    flink = _flink(ctx)
    console.print(flink.savepoint(running_job(flink, job).id, stop=False))


@app.command()
def stop(ctx: typer.Context, job: JobName) -> None:
    """Stop a job with a savepoint, from which `submit` and `restore` continue."""
    console.print(stop_job(_flink(ctx), open_control(context_of(ctx)), job))


@app.command()
def cancel(ctx: typer.Context, job: JobName) -> None:
    """Cancel a job. Its newest checkpoint is kept."""
    flink = _flink(ctx)
    flink.cancel(running_job(flink, job).id)


@app.command()
def restore(
    ctx: typer.Context,
    job: JobName,
    savepoint: Annotated[
        str, typer.Argument(help="Path of a savepoint, as printed by `stop` or `savepoint`.")
    ],
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Do not check the state; let Flink refuse it.")
    ] = False,
) -> None:
    """Start a job from a savepoint, if the savepoint is compatible with its SQL."""
    console.print(
        f"{job}: {make_submitter(context_of(ctx)).restore(_job(ctx, job), savepoint, unchecked=unchecked)}"
    )


@app.command()
def check_compatibility(ctx: typer.Context, job: JobName) -> None:
    """Check whether the state of a running job is compatible with its current SQL. Exit status 1 if not."""
    incompatibilities = make_submitter(context_of(ctx)).incompatibilities(_job(ctx, job))
    console.print("\n".join(incompatibilities) or f"the state of {job} is compatible")
    if incompatibilities:
        raise typer.Exit(1)


@app.command()
def metrics(ctx: typer.Context, job: JobName) -> None:
    """Show each operator of a job: records read, written and skipped as unreadable, and how busy it is."""
    flink = _flink(ctx)
    found = running_job(flink, job)
    shown = Shown("operator", "read", "written", "skipped", "busy", "back-pressured", box=None)
    for vertex in flink.details(found.id)["vertices"]:
        values = vertex["metrics"]
        since = max(1, vertex["duration"])
        busy, blocked = (
            f"{100 * min(1.0, float(values[name]) / since):.0f} %"
            for name in ("accumulated-busy-time", "accumulated-backpressured-time")
        )
        left_out = flink.unreadable(found.id, vertex["id"])
        shown.add_row(
            vertex["name"][:70],
            f"{values['read-records']:,}",
            f"{values['write-records']:,}",
            f"{left_out:,}",
            busy,
            blocked,
        )
    console.print(shown)
