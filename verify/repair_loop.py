"""Repairs a shard and verifies it again until the repair has landed."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from connectors.snapshot_tracker import FAILED, REQUESTED, SnapshotTracker
from core.clock import utc_now
from core.settings import Endpoints
from schemas.table import Table
from verify.engine import Barriers, Engine, opened
from verify.irreparable import explain, is_unchanged
from verify.repair import RepairRequest, delete_dropped, repair
from verify.results import TableResult
from verify.sources import MySqlReader

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
            before = result
            result, was_read = _repair_once(
                endpoints, tracker, engine, source, table, before, deadline, report
            )
            fruitless = fruitless + 1 if was_read and is_unchanged(before, result) else 0
            if fruitless == MAX_FRUITLESS_ROUNDS:
                return replace(result, reason=explain(before, result))
            if time.monotonic() >= deadline:
                break
    return result


def _repair_once(
    endpoints: Endpoints,
    tracker: SnapshotTracker,
    engine: Engine,
    source: MySqlReader,
    table: Table,
    result: TableResult,
    deadline: float,
    report: Callable[[str], object],
) -> tuple[TableResult, bool]:
    """Repairs the differences and verifies again. Returns the new result, and whether all rows that differ
    were read again."""
    since = utc_now()
    done = repair(endpoints, tracker, source, table, result)
    report(_line(result, done))
    collection = f"{result.shard}.{table.name}"
    statuses = partial(_statuses, tracker, source.server.name, collection, since)
    result = _reverify_until(engine, table, result, deadline, lambda: REQUESTED not in statuses())
    if result.answer != "equal" and FAILED in statuses():
        report(f"{collection}: the snapshot of these rows has failed")
        return result, False
    return result, True


def _table_exists(engine: Engine, table: Table, shard: str) -> bool:
    return any(shard in reader.databases_with(table) for reader in engine.sources)


def _statuses(tracker: SnapshotTracker, server: str, collection: str, since: dt.datetime) -> set[str]:
    """The statuses of the collection's snapshots that were requested from `since` (UTC) on."""
    return {
        snapshot.status
        for snapshot in tracker.history(server)
        if snapshot.collection == collection and snapshot.requested_at >= since
    }


def _reverify_until(
    engine: Engine,
    table: Table,
    result: TableResult,
    until: float,
    have_ended: Callable[[], bool] = lambda: False,
) -> TableResult:
    """Verifies repeatedly until the sides are equal, `until` (monotonic seconds) has passed, or the sides
    differ although the snapshots had ended before: what was read has landed by then."""
    while result.answer != "equal" and time.monotonic() < until:
        time.sleep(PAUSE_SECONDS)
        final = have_ended()
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
