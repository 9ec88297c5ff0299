"""Repairs a shard and verifies it again until the repair has landed."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from connectors.snapshot_tracker import SnapshotTracker
from core.settings import Endpoints
from schemas.table import Table
from verify.engine import Barriers, Engine, opened
from verify.repair import RepairRequest, delete_dropped, repair
from verify.results import TableResult

PAUSE_SECONDS = 1.0
ROUND_SECONDS = 20.0
"""How long one repair may take to land before the remaining differences are repaired again."""


def repair_until_equal(
    endpoints: Endpoints,
    tracker: SnapshotTracker,
    group: str,
    table: Table,
    result: TableResult,
    wait: float,
    report: Callable[[str], object] = lambda _: None,
    barriers: Barriers | None = None,
    *,
    dropped: bool = False,
) -> TableResult:
    """Repairs one shard and verifies it until it is equal, or for `wait` seconds; returns the last result.
    Blocks.

    A shard with more differences than one result lists takes several rounds. `report` receives one line per
    round. With `dropped`, the rows of a table that the source dropped are deleted; otherwise they stay.
    Raises SwitchboardError if a repair cannot be requested.
    """
    deadline = time.monotonic() + wait
    with opened(endpoints, group, barriers=barriers) as engine:
        while result.answer == "different":
            source = next(
                (reader for reader in engine.sources if result.shard in reader.databases_with(table)), None
            )
            if result.dropped and dropped:
                exists = partial(_table_exists, engine, table, result.shard)
                deleted = delete_dropped(endpoints, engine.target, table, result.shard, exists)
                report(f"{table.name} {result.shard}: {deleted} rows deleted")
                result = _reverify_until(engine, table, result, deadline)
                break
            if source is None or result.dropped:
                return result
            done = repair(endpoints, tracker, source, table, result)
            report(_line(result, done))
            result = _reverify_until(engine, table, result, min(deadline, time.monotonic() + ROUND_SECONDS))
            if time.monotonic() >= deadline:
                break
    return result


def _table_exists(engine: Engine, table: Table, shard: str) -> bool:
    return any(shard in reader.databases_with(table) for reader in engine.sources)


def _reverify_until(engine: Engine, table: Table, result: TableResult, until: float) -> TableResult:
    """Verifies repeatedly until the sides are equal or `until` (monotonic seconds) has passed."""
    while result.answer != "equal" and time.monotonic() < until:
        time.sleep(PAUSE_SECONDS)
        result = engine.verify_shard(table, result.shard)
    return result


def _line(result: TableResult, done: RepairRequest) -> str:
    parts = [
        f"{done.resent} rows read again",
        f"{done.ranges} ranges read again",
        f"{done.deleted} rows deleted",
    ]
    summary = ", ".join(part for part in parts if not part.startswith("0 ")) or "nothing to do"
    return f"repair of {result.table} {result.shard}: {summary}{'; ' + done.kept if done.kept else ''}"
