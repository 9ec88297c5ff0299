"""Records a verification in the control database: its runs, and the conditions that it clears or sets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from core.control import ControlDatabase
from core.control.models import Run, utc_now
from core.control.states import EVERY_SHARD, FROZEN, Standing, clear, mark, standing
from verify.results import TableResult


def record(control: ControlDatabase, results: Sequence[TableResult], started: dt.datetime) -> None:
    """Saves one run per result. Blocks for the control database.

    Freezes the shards whose table the source dropped, and clears the frozen state of what was verified as equal if
    the state was set before `started` (UTC).
    """
    states = [state for state in standing(control) if state.state == FROZEN and state.since < started]
    for state in states:
        if _is_proven_equal(state, results):
            clear(control, state)
    for result in results:
        if result.dropped and result.answer == "different":
            mark(control, result.table, result.shard, FROZEN, result.reason)
    ended = utc_now()
    with control.session() as session:
        for result in results:
            detail = {"rows": result.rows_source, "rows_clickhouse": result.rows_clickhouse, "reason": result.reason}
            subject = f"{result.table}/{result.shard}"
            row = Run(kind="verify", subject=subject, status=result.answer.upper(), detail=detail, started_at=started, ended_at=ended)
            session.add(row)


def _is_proven_equal(state: Standing, results: Sequence[TableResult]) -> bool:
    verified = [result for result in results if result.table == state.table and state.shard in (result.shard, EVERY_SHARD)]
    return bool(verified) and all(result.answer == "equal" for result in verified)
