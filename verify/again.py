"""A repair, watched until it has landed."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from connectors.loads import Loads
from core.settings import Endpoints
from schemas.table import Table
from verify.engine import Engine, Markers, opened
from verify.repair import Repaired, delete_dropped, repair
from verify.results import TableResult

PAUSE_SECONDS = 1.0
PATIENCE_SECONDS = 20.0
"""How long a repair is waited for before what still differs is asked for anew."""


def repaired(
    endpoints: Endpoints,
    loads: Loads,
    group: str,
    table: Table,
    result: TableResult,
    wait: float,
    tell: Callable[[str], object] = lambda _: None,
    markers: Markers | None = None,
    *,
    dropped: bool = False,
) -> TableResult:
    """Repairs one shard and verifies it until it is equal, or for `wait` seconds; returns the last answer.

    The rows of a table that the source has dropped are deleted only if `dropped` says so.

    A shard with more differences than are listed takes several rounds.
    """
    deadline = time.monotonic() + wait
    with opened(endpoints, group, markers=markers) as engine:
        while result.answer == "different":
            source = next((side for side in engine.sources if result.shard in side.databases_with(table)), None)
            if result.dropped and dropped:
                stands = partial(_stands, engine, table, result.shard)
                tell(f"{table.name} {result.shard}: {delete_dropped(endpoints, engine.target, table, result.shard, stands)} rows deleted")
                result = _watched(engine, table, result, deadline)
                break
            if source is None or result.dropped:
                return result
            done = repair(endpoints, loads, source, table, result)
            tell(_line(result, done))
            result = _watched(engine, table, result, min(deadline, time.monotonic() + PATIENCE_SECONDS))
            if time.monotonic() >= deadline:
                break
    return result


def _stands(engine: Engine, table: Table, shard: str) -> bool:
    return any(shard in side.databases_with(table) for side in engine.sources)


def _watched(engine: Engine, table: Table, result: TableResult, until: float) -> TableResult:
    """Verifies again and again until the sides are equal or the time is up."""
    while result.answer != "equal" and time.monotonic() < until:
        time.sleep(PAUSE_SECONDS)
        result = engine.verify_shard(table, result.shard)
    return result


def _line(result: TableResult, done: Repaired) -> str:
    parts = [f"{done.resent} rows read again", f"{done.ranges} ranges read again", f"{done.deleted} rows deleted"]
    told = ", ".join(part for part in parts if not part.startswith("0 ")) or "nothing to do"
    return f"repair of {result.table} {result.shard}: {told}{'; ' + done.kept if done.kept else ''}"
