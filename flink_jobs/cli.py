"""`switchboard flink`: jobs over Flink's REST API."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as Shown

from core.settings import Context
from flink_jobs import client
from flink_jobs.jobs import JOBS, job_named
from flink_jobs.rest import Flink, JobStatus
from flink_jobs.submit import Submitter, endpoint_of, running_job
from schemas.catalog import load as load_catalog

app = typer.Typer(no_args_is_help=True)
JobName = Annotated[str, typer.Argument(help="The job's name, as `list` shows it.")]
console = Console(soft_wrap=True, highlight=False, markup=False)


def _flink(ctx: typer.Context) -> Flink:
    return Flink(endpoint_of(ctx.obj))


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """Show every job, and whether it runs."""
    newest: dict[str, JobStatus] = {}
    for known in reversed(_flink(ctx).jobs()):
        newest[known.name] = known
    shown = Shown("job", "state", "since", "id", box=None)
    for job in JOBS:
        found = newest.get(job.name)
        since = "" if found is None else f"{dt.datetime.fromtimestamp(found.started_ms / 1000, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
        shown.add_row(job.name, "never submitted" if found is None else found.state, since, "" if found is None else found.id)
    console.print(shown)


@app.command()
def submit(ctx: typer.Context, jobs: Annotated[list[str] | None, typer.Argument(help="All if none is named.")] = None) -> None:
    """Start jobs that do not run yet, from the beginning of their topics."""
    context: Context = ctx.obj
    submitter = Submitter(
        context.endpoints, load_catalog(context.settings.contracts), client.load(context.settings.home, context.endpoints.flink)
    )
    for name, identity in submitter.submit([job_named(name) for name in jobs] if jobs else JOBS).items():
        console.print(f"{name}: {identity}")


@app.command()
def status(ctx: typer.Context, job: JobName) -> None:
    """Show a job's state, its restarts, its newest checkpoint, and why it failed last."""
    flink = _flink(ctx)
    found = running_job(flink, job)
    checkpoints = flink.checkpoints(found.id)
    newest = (checkpoints.get("latest") or {}).get("completed") or {}
    console.print(f"{job}: {found.state}, id {found.id}")
    console.print(f"checkpoints: {checkpoints['counts']['completed']} done, {checkpoints['counts']['failed']} failed")
    if newest:
        console.print(
            f"the newest: {newest['state_size']:,} bytes of state in {newest['end_to_end_duration']} ms, at {newest['external_path']}"
        )
    if cause := flink.cause(found.id):
        console.print(f"failed last by: {cause}")


@app.command()
def savepoint(ctx: typer.Context, job: JobName) -> None:
    """Write a savepoint; the job goes on."""
    flink = _flink(ctx)
    console.print(flink.savepoint(running_job(flink, job).id, stop=False))


@app.command()
def stop(ctx: typer.Context, job: JobName) -> None:
    """End a job at a savepoint, from which `restore` goes on."""
    flink = _flink(ctx)
    console.print(flink.savepoint(running_job(flink, job).id, stop=True))


@app.command()
def cancel(ctx: typer.Context, job: JobName) -> None:
    """End a job at once. Its newest checkpoint stays."""
    flink = _flink(ctx)
    flink.cancel(running_job(flink, job).id)


@app.command()
def restore(
    ctx: typer.Context, job: JobName, savepoint: Annotated[str, typer.Argument(help="As `stop` or `savepoint` printed it.")]
) -> None:
    """Start a job from a savepoint."""
    context: Context = ctx.obj
    submitter = Submitter(
        context.endpoints, load_catalog(context.settings.contracts), client.load(context.settings.home, context.endpoints.flink)
    )
    console.print(f"{job}: {submitter.restore(job_named(job), savepoint)}")


@app.command()
def metrics(ctx: typer.Context, job: JobName) -> None:
    """Show what each operator of a job reads and writes, and how busy it is."""
    flink = _flink(ctx)
    found = running_job(flink, job)
    shown = Shown("operator", "read", "written", "busy", "back-pressured", box=None)
    for vertex in flink.details(found.id)["vertices"]:
        told = vertex["metrics"]
        since = max(1, vertex["duration"])
        busy, held = (
            f"{100 * min(1.0, float(told[name]) / since):.0f} %" for name in ("accumulated-busy-time", "accumulated-backpressured-time")
        )
        shown.add_row(vertex["name"][:70], f"{told['read-records']:,}", f"{told['write-records']:,}", busy, held)
    console.print(shown)
