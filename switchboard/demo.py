"""`switchboard demo`: the whole platform on sample traffic, shown live, then verified."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import requests
import typer
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.live import Live
from rich.table import Table as Shown

from connectors.capture_service import CaptureService
from consumers import freshness
from core.command import context_of
from core.control import open_control
from core.errors import TransientError
from core.processes import end
from core.settings import Context
from schemas.catalog import Catalog
from schemas.catalog import load as load_catalog
from simulator.running import RunningTraffic
from simulator.source import accounts_of, create_source
from simulator.traffic import Traffic
from streamer.auth import mint
from streamer.local_secret import resolve_settings
from switchboard import stack
from switchboard.plan import plan as planning
from switchboard.plan.cli import all_planners, show
from switchboard.stack import services
from switchboard.stack.progress import Progress
from switchboard.stack.state import choose_port
from verify.engine import verify

SHARDS = ("acc_1", "acc_2")
SERVICES = (*services.BASE, "flink-jobmanager", "flink-taskmanager")
JOBS_SECONDS = 180
Counts = dict[str, tuple[int, int]]
"""Table -> (landed records, dead letters)."""


def demo(
    ctx: typer.Context,
    seconds: Annotated[
        float, typer.Option(help="Stop after this time of live traffic; 0 runs until Ctrl-C.")
    ] = 0,
    rate: Annotated[float, typer.Option(help="Row changes per second.")] = 500,
) -> None:
    """Start everything, run contact-centre traffic, show it landing, and verify that the copies are equal."""
    context = context_of(ctx)
    console = Console()
    console.print("[bold]Starting the servers[/bold]")
    stack.up(context.settings.home, Progress(console), SERVICES)
    server = context.endpoints.mysql[0]
    create_source(server, SHARDS, context.settings.metadata_database)
    console.print("[bold]Applying the contracts[/bold]")
    planning.apply(all_planners(context, open_control(context)), frozenset(), show)
    catalog = load_catalog(context.settings.contracts)
    stop = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):  # before this, Ctrl-C ends the command at once
        signal.signal(sign, lambda *_: stop.set())
    metrics_port, page_port = choose_port(9108, set()), choose_port(8090, set())
    lander = _start(context, "lander", "land", "--metrics-port", str(metrics_port))
    watch = _start(context, "watch", "connectors", "watch")
    streamer = _start(context, "streamer", "stream", "--port", str(page_port), "--grpc-port", "0")
    jobs = _start(context, "jobs", "flink", "submit")
    try:
        page = _page(context, page_port)
        traffic = Traffic(server, SHARDS, context.settings.metadata_database, rate, seed=int(time.time()))
        processes = {"lander": lander, "watch": watch, "streamer": streamer}
        _watch(context, catalog, traffic, stop, seconds, processes, jobs, metrics_port, page, console)
        _wait_snapshots(context, catalog)
        equal = _verify(context, catalog.captured, console)
    finally:
        for process in (jobs, streamer, watch, lander):
            end(process)
    _print_next_steps(console)
    raise typer.Exit(0 if equal else 1)


def _page(context: Context, port: int) -> str:
    """Returns the page's URL with a token for the first account, valid for a day."""
    token = mint(
        resolve_settings(context.settings), tenant=accounts_of(0)[0], teams=None, lasts=dt.timedelta(days=1)
    )
    return f"http://127.0.0.1:{port}/#token={token}"


def _start(context: Context, name: str, *words: str) -> subprocess.Popen[bytes]:
    """Starts a command in its own process, as in production, and in its own session: Ctrl-C must not end it
    before verification."""
    command = [sys.executable, "-m", "switchboard", *words]
    with (context.settings.home / "logs" / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=dict(os.environ))


def _scrape(port: int) -> Counts:
    """Returns the counts of the lander's metrics; none while it starts."""
    counts: Counts = {}
    try:
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=2).text
    except requests.RequestException:
        return counts
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            table = sample.labels.get("table", "")
            landed, dead = counts.get(table, (0, 0))
            if sample.name == "switchboard_landed_records_total":
                counts[table] = (int(sample.value), dead)
            elif sample.name == "switchboard_dead_letters_total":
                counts[table] = (landed, int(sample.value))
    return counts


def _watch(
    context: Context,
    catalog: Catalog,
    traffic: Traffic,
    stop: threading.Event,
    seconds: float,
    processes: Mapping[str, subprocess.Popen[bytes]],
    jobs: subprocess.Popen[bytes],
    metrics_port: int,
    page: str,
    console: Console,
) -> None:
    """Shows the traffic until `stop`, or for `seconds` with the jobs running, which start beside the
    traffic."""
    started = time.monotonic()
    complete: float | None = None
    announced = False
    with (
        RunningTraffic(traffic, failed=stop),
        Live(console=console, auto_refresh=False, transient=False) as live,
    ):
        while not stop.wait(1.0) and not (seconds and complete and time.monotonic() - complete >= seconds):
            if not announced and _is_served(page):
                announced = True
                console.print(
                    f"[bold]The supervisor's page[/bold]{_liveness(complete)}: {page}", soft_wrap=True
                )
            if complete is None and _all_run(context, jobs, time.monotonic() - started):
                complete = time.monotonic()
            shown = _table(
                context,
                catalog,
                traffic,
                time.monotonic() - started,
                _scrape(metrics_port),
                complete=complete is not None,
            )
            live.update(shown, refresh=True)
            _check_processes(context.settings.home / "logs", processes)


def _is_served(url: str) -> bool:
    """Whether the URL answers."""
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def _liveness(complete: float | None) -> str:
    return ", live as soon as the Flink jobs have started" if complete is None else ""


def _check_processes(logs: Path, processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Raises TransientError for the first command that has ended, as nothing restarts them."""
    for name, process in processes.items():
        if process.poll() is not None:
            log = logs / f"{name}.log"
            raise TransientError(
                f"the {name} has ended; the end of {log}: {_end_of(log)}",
                "correct the cause, then run it again",
            )


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-300:]


def _all_run(context: Context, jobs: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the jobs are submitted.

    Raises TransientError if that has failed, or takes longer than `JOBS_SECONDS`.
    """
    if jobs.poll() == 0:
        return True
    if jobs.poll() is None and seconds < JOBS_SECONDS:
        return False
    log = context.settings.home / "logs" / "jobs.log"
    raise TransientError(
        f"the Flink jobs do not start; the end of {log}: {_end_of(log)}", "`switchboard flink list`"
    )


def _table(
    context: Context, catalog: Catalog, traffic: Traffic, elapsed: float, counts: Counts, *, complete: bool
) -> Shown:
    changes = traffic.changes()
    caption = "Ctrl-C ends it and verifies" if complete else "the Flink jobs are starting"
    shown = Shown(title=f"MySQL to ClickHouse, live: {elapsed:.0f} s", caption=caption)
    for name in ("table", "source changes", "landed", "dead letters", "commit to queryable p50", "p99"):
        shown.add_column(name, justify="left" if name == "table" else "right")
    for item in freshness.measure(context.endpoints.clickhouse, catalog, int(elapsed) + 1):
        landed, dead = counts.get(item.table, (0, 0))
        p50, p99 = ("-" if value is None else f"{value:.0f} ms" for value in (item.p50_ms, item.p99_ms))
        shown.add_row(item.table, f"{changes[item.table]:,}", f"{landed:,}", f"{dead:,}", p50, p99)
    return shown


def _wait_snapshots(context: Context, catalog: Catalog) -> None:
    """Waits for the snapshots of rows from before the connector, which may take longer than the traffic."""
    control = open_control(context, migrate=False)
    waiting = CaptureService(context.endpoints, catalog, control).wait_snapshots(limit=120)
    control.close()
    if waiting:
        raise TransientError(
            f"snapshots are not done after 120 s: {', '.join(waiting)}",
            "see `switchboard connectors status mysql-main`",
        )


def _verify(context: Context, catalog: Catalog, console: Console) -> bool:
    """Verifies every table and shard, after the traffic has stopped."""
    console.print("\n[bold]Verifying[/bold]")
    answers = []
    for result in verify(context.endpoints, context.settings.landing.group, catalog):
        mark = {"equal": "[green]equal[/green]", "different": "[red]different[/red]"}.get(
            result.answer, "[yellow]inconclusive[/yellow]"
        )
        reason = f" ({result.reason})" if result.reason else ""
        console.print(
            f"  {result.table} in {result.shard}: {mark}, {result.rows_source:,} rows{reason}",
            highlight=False,
        )
        answers.append(result.answer)
    return all(answer == "equal" for answer in answers)


def _print_next_steps(console: Console) -> None:
    console.print(
        "\nThe servers keep running. Next:\n"
        "  .venv/bin/switchboard status            what runs, and its logs\n"
        "  .venv/bin/switchboard lag               how fresh each table is (while `switchboard land` runs)\n"
        "  .venv/bin/switchboard endpoints --json  addresses and passwords for your own client\n"
        "  .venv/bin/switchboard contracts show interactions\n"
        "  make down                               stops them; the data stays",
        highlight=False,
    )
