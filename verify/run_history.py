"""Records a verification in the control database: its results, and the conditions that it clears or sets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from core.clock import utc_now
from core.control import ControlDatabase
from core.control.models import VerifyResult
from core.control.table_health import (
    ALL_SHARDS,
    NEEDS_VERIFICATION,
    TableCondition,
    clear_condition,
    conditions,
    set_condition,
)
from verify.results import TableResult


def record(control: ControlDatabase, results: Sequence[TableResult], started: dt.datetime) -> None:
    """Saves every result. Blocks for the control database.

    Shards whose table the source dropped need a verification from now on. Of the shards that were found
    equal, the same condition is cleared if it was set before `started` (UTC).
    """
    states = [
        state for state in conditions(control) if state.state == NEEDS_VERIFICATION and state.since < started
    ]
    for state in states:
        if _is_proven_equal(state, results):
            clear_condition(control, state)
    for result in results:
        if result.dropped and result.answer == "different":
            set_condition(control, result.table, result.shard, NEEDS_VERIFICATION, result.reason)
    ended = utc_now()
    with control.session() as session:
        session.add_all(_row(result, started, ended) for result in results)


def _row(result: TableResult, started: dt.datetime, ended: dt.datetime) -> VerifyResult:
    return VerifyResult(
        table_name=result.table,
        shard=result.shard,
        answer=result.answer,
        rows_source=result.rows_source,
        rows_clickhouse=result.rows_clickhouse,
        reason=result.reason,
        started_at=started,
        ended_at=ended,
    )


def _is_proven_equal(state: TableCondition, results: Sequence[TableResult]) -> bool:
    verified = [
        result
        for result in results
        if result.table == state.table and state.shard in (result.shard, ALL_SHARDS)
    ]
    return bool(verified) and all(result.answer == "equal" for result in verified)
