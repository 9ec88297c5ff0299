"""`switchboard lag`: each table's freshness, stage by stage from MySQL's commit to ClickHouse."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as Shown

from connectors.binlog import loss, unread_since
from connectors.rest import KafkaConnect, failures
from connectors.snapshot_tracker import SnapshotTracker
from consumers import freshness
from core.command import context_of
from core.control import open_control
from core.control.result_versions import active_versions
from core.control.table_health import REMEDIES, conditions
from core.settings import Context, MySqlServer
from schemas.catalog import Catalog
from schemas.catalog import load as load_catalog
from schemas.render.connect import connector_name

SHOWN_SHARDS = 5


def lag(
    ctx: typer.Context, seconds: Annotated[int, typer.Option(help="Length of the measured period.")] = 60
) -> None:
    """Show the connectors' lag, the landing backlog, the time from commit to query, and tables that need a
    snapshot or a verification."""
    context = context_of(ctx)
    console = Console(soft_wrap=True)
    control = open_control(context)
    console.print(
        _tables(
            context,
            load_catalog(context.settings.contracts).with_generations(active_versions(control)),
            seconds,
        )
    )
    connect = KafkaConnect(context.endpoints.connect)
    for server in context.endpoints.mysql:
        console.print(
            f"MySQL {server.name} to Kafka: {_source(connect, server)}", markup=False, highlight=False
        )
    for state in conditions(control):
        since = f"since {state.since:%Y-%m-%d %H:%M:%S} UTC"
        console.print(
            f"{state.table} in {state.shard}: {state.state} {since}: {state.reason}",
            markup=False,
            highlight=False,
        )
        console.print(f"    {REMEDIES[state.state]}", markup=False, highlight=False)
    tracker = SnapshotTracker(context.endpoints, control)
    names = [name for server in context.endpoints.mysql for name in tracker.unproven(server.name)]
    for table, shards in _by_table(names).items():
        console.print(_not_proven(table, shards), markup=False, highlight=False)


def _by_table(collections: Iterable[str]) -> dict[str, list[str]]:
    shards: dict[str, list[str]] = {}
    for collection in collections:
        shard, _, table = collection.partition(".")
        shards.setdefault(table, []).append(shard)
    return shards


def _not_proven(table: str, shards: list[str]) -> str:
    some = ", ".join(shards[:SHOWN_SHARDS]) + (", …" if len(shards) > SHOWN_SHARDS else "")
    return (
        f"{table} in {some}: not yet proven equal since the snapshot, {len(shards)} in all\n"
        f"    `switchboard verify {table}` proves it"
    )


def _tables(context: Context, catalog: Catalog, seconds: int) -> Shown:
    waiting = freshness.waiting(context.endpoints.kafka, context.settings.landing.group, catalog)
    shown = Shown(
        "table", "backlog in Kafka", "landed", "commit to queryable p50", "p99", "newest change", box=None
    )
    for item in freshness.measure(context.endpoints.clickhouse, catalog, seconds):
        newest = "never" if item.age_seconds is None else f"{item.age_seconds:.1f} s ago"
        waits = f"{waiting[item.table]:,}" if item.table in waiting else "no topic"
        shown.add_row(item.table, waits, f"{item.landed:,}", _ms(item.p50_ms), _ms(item.p99_ms), newest)
    return shown


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _source(connect: KafkaConnect, server: MySqlServer) -> str:
    name = connector_name(server.name)
    if connect.config(name) is None:
        return "no connector; `switchboard apply` creates it"
    offsets = connect.offsets(name)
    if (lost := loss(server, offsets)) is not None:
        return (
            f"{lost}; `switchboard connectors stop`, `offsets reset`, `resume` {name}, then `apply` and "
            "`verify --repair`"
        )
    if causes := failures(connect.states(name)):
        return f"the connector has failed: {causes[0]}; see `switchboard connectors status {name}`"
    seconds = unread_since(server, offsets)
    if seconds is None:
        return f"nothing yet; see `switchboard connectors status {name}`"
    if not seconds:
        return "up to date"
    return f"{seconds:.0f} s behind; if that grows, see `switchboard connectors status {name}`"
