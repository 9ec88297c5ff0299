"""Repairs a shard and verifies it again until the repair has landed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from connectors.snapshot_tracker import SnapshotTracker
from core.settings import Endpoints
from schemas.table import Table
from verify.engine import Barriers, Engine, opened
from verify.irreparable import explain, is_unchanged
from verify.repair import RepairRequest, delete_dropped, repair
from verify.results import TableResult

PAUSE_SECONDS = 1.0
MAX_FRUITLESS_ROUNDS = 2
"""After this many repairs in a row that changed nothing, another one would not either."""


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

    A shard with more differences than one result lists takes several rounds; rounds that change nothing end
    it, and the reason of the result says why. `report` receives one line per round. With `dropped`, the rows
    of a table that the source dropped are deleted; otherwise they stay.
    Raises SwitchboardError if a repair cannot be requested.
    """
    deadline = time.monotonic() + wait
    fruitless = 0
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
            before, done = result, repair(endpoints, tracker, source, table, result)
            report(_line(result, done))
            has_read = partial(_has_read, tracker, source.server.name, f"{result.shard}.{table.name}")
            result = _reverify_until(engine, table, result, deadline, has_read)
            fruitless = fruitless + 1 if is_unchanged(before, result) else 0
            if fruitless == MAX_FRUITLESS_ROUNDS:
                return replace(result, reason=explain(before, result))
            if time.monotonic() >= deadline:
                break
    return result


def _table_exists(engine: Engine, table: Table, shard: str) -> bool:
    return any(shard in reader.databases_with(table) for reader in engine.sources)


def _has_read(tracker: SnapshotTracker, server: str, collection: str) -> bool:
    """Whether no snapshot of the collection is queued or running."""
    return collection not in tracker.pending(server)


def _reverify_until(
    engine: Engine,
    table: Table,
    result: TableResult,
    until: float,
    has_read: Callable[[], bool] = lambda: False,
) -> TableResult:
    """Verifies repeatedly until the sides are equal, `until` (monotonic seconds) has passed, or the sides
    differ although the rows had been read again before: what was read has landed by then."""
    while result.answer != "equal" and time.monotonic() < until:
        time.sleep(PAUSE_SECONDS)
        final = has_read()
        result = engine.verify_shard(table, result.shard)
        if final and result.answer == "different":
            break
    return result


def _line(result: TableResult, done: RepairRequest) -> str:
    parts = [
        f"{done.resent} rows read again",
        f"{done.ranges} ranges read again",
        f"{done.deleted} rows deleted",
    ]
    summary = ", ".join(part for part in parts if not part.startswith("0 ")) or "nothing to do"
    return f"repair of {result.table} {result.shard}: {summary}{'; ' + done.kept if done.kept else ''}"
