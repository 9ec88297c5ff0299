"""What the result tables say of one centre, in the shape of `reference`."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from typing import Any

from tests.pipeline import eventually
from tests.stack.flink_jobs.centre import Centre


def rows(centre: Centre, query: str) -> list[tuple[Any, ...]]:
    return centre.pipeline.landed(query.format(account=centre.account))


def status(centre: Centre) -> dict[int, tuple[Any, ...]]:
    query = "SELECT agent_id, team, name, state, since, contacts, queues FROM realtime.agent_status WHERE account_id = {account}"
    return {
        agent: (team, name, state, since, +Counter(json.loads(contacts)), set(json.loads(queues)))
        for agent, team, name, state, since, contacts, queues in rows(centre, query)
    }


def stats(centre: Centre) -> dict[int, tuple[Any, ...]]:
    columns = "waiting, oldest_waiting_since, in_service, agents_available, agents_busy, agents_offline"
    found = rows(centre, f"SELECT queue_id, {columns} FROM realtime.queue_stats WHERE account_id = {{account}}")
    return {row[0]: row[1:] for row in found}


def minutes(centre: Centre) -> dict[tuple[int, dt.datetime], tuple[int, ...]]:
    columns = "offered, answered, abandoned, short_abandons, answer_delay_ms, within_target, handled, handle_ms"
    found = rows(centre, f"SELECT queue_id, minute, {columns} FROM realtime.queue_minutes WHERE account_id = {{account}}")
    return {(row[0], row[1]): row[2:] for row in found if any(row[2:])}


def structured(centre: Centre) -> dict[int, tuple[Any, ...]]:
    columns = "state, queue_name, agent_name, team_name, wait_ms, talk_ms, hold_ms, wrap_ms, survey_score"
    found = rows(centre, f"SELECT interaction_id, {columns} FROM structured.structured_interactions WHERE account_id = {{account}}")
    return {row[0]: row[1:] for row in found}


def sessions(centre: Centre) -> dict[tuple[int, dt.datetime], tuple[Any, ...]]:
    columns = "logged_out_at, newest_at, available_ms, on_contact_ms, after_contact_work_ms, break_ms"
    found = rows(centre, f"SELECT agent_id, logged_in_at, {columns} FROM structured.agent_sessions WHERE account_id = {{account}}")
    return {(row[0], row[1]): row[2:] for row in found}


def differences(found: dict[Any, Any], wanted: dict[Any, Any]) -> dict[Any, Any]:
    return {key: (found.get(key), wanted.get(key)) for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key)}


def becomes(what: Any, centre: Centre, wanted: dict[Any, Any], within: float = 90) -> None:
    """Waits until the rows are those; shows what differs if they never are."""
    try:
        eventually(lambda: what(centre) == wanted, within)
    except AssertionError:
        raise AssertionError(f"(found, wanted): {differences(what(centre), wanted)}") from None
