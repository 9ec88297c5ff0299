"""``switchboard verify``: compares MySQL and ClickHouse, and repairs the differences."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid

from connectors.snapshot_tracker import SnapshotTracker
from core.clock import utc_now
from core.command import context_of
from core.control import ControlDatabase, open_control
from core.errors import SwitchboardError
from core.settings import Context
from schemas.catalog import Catalog, load
from schemas.table import Table
from verify import engine
from verify.repair_loop import repair_until_equal
from verify.results import EXIT_STATUS, TableResult, worst
from verify.run_history import record

app = typer.Typer()
MAX_SHOWN_ROWS = 20
COLOURS = {"equal": "green", "different": "red", "inconclusive": "yellow"}


@app.command()
def verify(
    ctx: typer.Context,
    tables: Annotated[list[str] | None, typer.Argument(help="Tables to compare; all by default.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Re-snapshot missing and differing rows, and delete extra rows.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of a table.")
    ] = False,
    show: Annotated[
        int, typer.Option(min=0, help="Maximum number of differing rows to print per shard.")
    ] = MAX_SHOWN_ROWS,
    dropped: Annotated[
        bool,
        typer.Option("--dropped", help="With --repair, delete the rows of tables that the source dropped."),
    ] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for a repair to land.")] = 120,
) -> None:
    """Compare every value of each table in MySQL and ClickHouse, shard by shard.

    Exit status: 0 equal, 1 different, 2 inconclusive (rows kept changing, or the pipeline did not catch up).
    """
    context = context_of(ctx)
    catalog = load(context.settings.contracts).captured
    console = Console(stderr=True)
    control = open_control(context)
    started = utc_now()
    results = _compare(context, catalog.select(tables or ()), console, quiet=as_json)
    if repair:
        results = _repair(context, control, catalog, results, console, wait, dropped=dropped)
    record(control, results, started)
    if as_json:
        typer.echo(
            json.dumps(
                {"answer": worst(results), "shards": [result.as_json(show) for result in results]}, indent=1
            )
        )
    else:
        _print(results, show)
    raise typer.Exit(EXIT_STATUS[worst(results)])


def _compare(
    context: Context, tables: tuple[Table, ...], console: Console, *, quiet: bool
) -> tuple[TableResult, ...]:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(pulse_style="cyan"),
        TextColumn("{task.completed:,} rows"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )
    with bar:
        task = bar.add_task("verify", total=None)

        def watch(table: Table, shard: str) -> Callable[[int], None]:
            bar.update(task, description=f"{table.name} {shard}")
            return lambda rows: bar.advance(task, rows)

        return tuple(engine.verify(context.endpoints, context.settings.landing.group, tables, watch=watch))


def _repair(
    context: Context,
    control: ControlDatabase,
    catalog: Catalog,
    results: tuple[TableResult, ...],
    console: Console,
    wait: float,
    *,
    dropped: bool,
) -> tuple[TableResult, ...]:
    """Repairs the shards that differ and returns the results after it.

    Reports a shard that it cannot repair.
    """
    tracker, group = SnapshotTracker(context.endpoints, control), context.settings.landing.group
    after = []
    for result in results:
        if result.answer == "different":
            try:
                table = catalog[result.table]
                result = repair_until_equal(
                    context.endpoints, tracker, group, table, result, wait, console.print, dropped=dropped
                )
            except SwitchboardError as error:
                line = f"{result.table} {result.shard} was not repaired: {error.what}; {error.remedy}"
                console.print(line, markup=False, highlight=False, soft_wrap=True)
        after.append(result)
    return tuple(after)


def _print(results: tuple[TableResult, ...], show: int) -> None:
    grid = Grid("table", "shard", "answer", "rows in MySQL", "rows in ClickHouse", "chunks", "reason")
    for result in results:
        answer = f"[{COLOURS[result.answer]}]{result.answer}[/]"
        counts = (f"{result.rows_source:,}", f"{result.rows_clickhouse:,}", f"{result.chunks:,}")
        grid.add_row(escape(result.table), escape(result.shard), answer, *counts, escape(result.reason))
    console = Console()
    console.print(grid)
    for result in results:
        if result.uncompared_columns:
            names = ", ".join(result.uncompared_columns)
            line = (
                f"{result.table} {result.shard}: not compared, as the contract lacks them: {names}; import "
                "the contract again"
            )
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        for row in result.differences[:show]:
            key = ", ".join(f"{name}={value}" for name, value in row.key)
            values = "; ".join(
                f"{item.name}: {item.source!r} in MySQL, {item.clickhouse!r} in ClickHouse"
                for item in row.columns
            )
            line = f"{result.table} {result.shard} ({key}): {row.kind}{' - ' + values if values else ''}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if len(result.differences) > show:
            console.print(
                f"{result.table} {result.shard}: and {len(result.differences) - show} more rows", markup=False
            )
