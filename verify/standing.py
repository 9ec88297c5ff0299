"""What a verification leaves in the control database: its run, and which tables are in doubt no more."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from core.control import ControlDatabase
from core.control.models import Run, utc_now
from core.control.states import EVERY_SHARD, FROZEN, Standing, clear, mark, standing
from verify.results import TableResult


def record(control: ControlDatabase, results: Sequence[TableResult], started: dt.datetime) -> None:
    """Notes each answer, freezes what the source has dropped, and thaws what was found equal since `started`."""
    states = [state for state in standing(control) if state.state == FROZEN and state.since < started]
    for state in states:
        if _proven(state, results):
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


def _proven(state: Standing, results: Sequence[TableResult]) -> bool:
    mine = [result for result in results if result.table == state.table and state.shard in (result.shard, EVERY_SHARD)]
    return bool(mine) and all(result.answer == "equal" for result in mine)
