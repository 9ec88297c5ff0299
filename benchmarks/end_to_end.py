"""Commit to queryable, under steady traffic through the running connector."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

from consumers import freshness
from consumers.lander import Lander
from consumers.table_widener import TableWidener
from core.clients import clickhouse
from core.control import ControlDatabase
from core.errors import MisconfiguredError, TransientError
from core.settings import Endpoints, Settings
from schemas.catalog import Catalog
from schemas.catalog import load as load_catalog
from schemas.render.clickhouse import storage_table
from simulator.running import RunningTraffic
from simulator.traffic import Traffic

SHARDS = ("acc_1", "acc_2")
JOIN_SECONDS = 3.0


@dataclass(frozen=True)
class Lags:
    """Lags are those of the rows that landed in the measured seconds; `committed` is what MySQL committed in
    them."""

    seconds: int
    committed: int
    landed: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    tables: list[dict[str, Any]]


def _land(endpoints: Endpoints, settings: Settings, stop: Any) -> None:
    catalog = load_catalog(settings.contracts).captured
    control = ControlDatabase(endpoints.control_server, settings.control_database)
    Lander(
        endpoints,
        settings.landing,
        catalog,
        control,
        TableWidener(endpoints.clickhouse, control).widen,
        stop.is_set,
    ).run()


def measure(endpoints: Endpoints, settings: Settings, rate: float, warm_up: int, seconds: int) -> Lags:
    """Blocks for a little more than `warm_up` and `seconds`. The rows stay where the traffic put them.

    Raises MisconfiguredError before the sample's contracts were applied.
    """
    table = storage_table(next(iter(load_catalog(settings.contracts).captured)))
    if not clickhouse.connect(endpoints.clickhouse).command(f"EXISTS TABLE {table}"):
        raise MisconfiguredError(f"ClickHouse has no table {table}", "run `switchboard demo` first")
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    process = context.Process(target=_land, args=(endpoints, settings, stop))
    process.start()
    try:
        _pass(process, JOIN_SECONDS)
        return _under_traffic(endpoints, settings, process, rate, warm_up, seconds)
    finally:
        time.sleep(1)
        stop.set()
        process.join(60)
        if process.is_alive():
            process.kill()


def _pass(process: BaseProcess, seconds: float) -> None:
    """Waits. Raises TransientError as soon as the lander has ended."""
    process.join(seconds)
    if process.exitcode is not None:
        raise TransientError(f"the lander ended with status {process.exitcode}", "its last lines are above")


def _under_traffic(
    endpoints: Endpoints, settings: Settings, process: BaseProcess, rate: float, warm_up: int, seconds: int
) -> Lags:
    traffic = Traffic(endpoints.mysql[0], SHARDS, settings.metadata_database, rate, seed=int(time.time()))
    with RunningTraffic(traffic):
        _pass(process, warm_up)
        before = sum(traffic.changes().values())
        _pass(process, seconds)
        committed = sum(traffic.changes().values()) - before
        return _read(endpoints, load_catalog(settings.contracts).captured, seconds, committed)


def _read(endpoints: Endpoints, catalog: Catalog, seconds: int, committed: int) -> Lags:
    lag = "dateDiff('millisecond', _committed_at, _landed_at) AS lag"
    where = f"WHERE _landed_at > now64(3) - {seconds}"
    union = " UNION ALL ".join(f"SELECT {lag} FROM {storage_table(table)} {where}" for table in catalog)
    query = f"SELECT count(), quantile(0.5)(lag), quantile(0.99)(lag), max(lag) FROM ({union})"
    landed, p50, p99, most = clickhouse.connect(endpoints.clickhouse).query(query).result_rows[0]
    tables = [vars(item) for item in freshness.measure(endpoints.clickhouse, catalog, seconds) if item.landed]
    return Lags(seconds, committed, int(landed), float(p50), float(p99), float(most), tables)
