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
    columns = "team, name, state, since, contacts, queues, reason, team_id"
    found = rows(
        centre, f"SELECT agent_id, {columns} FROM realtime.agent_status WHERE account_id = {{account}}"
    )
    return {row[0]: (*row[1:5], +Counter(json.loads(row[5])), json.loads(row[6]), *row[7:]) for row in found}


def status_of(centre: Centre, agent: int) -> tuple[Any, ...]:
    """One agent's columns of `status`, each None until the result has the agent."""
    return status(centre).get(agent, (None,) * 8)


def stats(centre: Centre) -> dict[int, tuple[Any, ...]]:
    columns = (
        "waiting, oldest_waiting_since, in_service, agents_available, agents_busy, agents_offline, name, "
        "channel, target_seconds"
    )
    found = rows(
        centre, f"SELECT queue_id, {columns} FROM realtime.queue_stats WHERE account_id = {{account}}"
    )
    return {row[0]: row[1:] for row in found}


def minutes(centre: Centre) -> dict[tuple[int, dt.datetime], tuple[int, ...]]:
    """Without those of which nothing is left."""
    columns = (
        "offered, answered, abandoned, short_abandons, answer_delay_ms, within_target, handled, handle_ms"
    )
    found = rows(
        centre,
        f"SELECT queue_id, minute, {columns} FROM realtime.queue_minutes WHERE account_id = {{account}}",
    )
    return {(row[0], row[1]): row[2:] for row in found if any(row[2:])}


def structured(centre: Centre) -> dict[int, tuple[Any, ...]]:
    columns = (
        "state, queue_name, agent_name, team_name, wait_ms, talk_ms, hold_ms, wrap_ms, survey_score, "
        "account_id, started_at, channel, "
        "direction, queue_id, agent_id, answered_at, ended_at, is_abandoned, cost, team_id, account_name, "
        "time_zone, tier"
    )
    found = rows(
        centre,
        f"SELECT interaction_id, {columns} FROM structured.structured_interactions WHERE account_id = "
        "{account}",
    )
    return {row[0]: row[1:] for row in found}


def sessions(centre: Centre) -> dict[tuple[int, dt.datetime], tuple[Any, ...]]:
    columns = (
        "logged_out_at, newest_at, available_ms, on_contact_ms, after_contact_work_ms, break_ms, "
        "state_changes, state_ms"
    )
    found = rows(
        centre,
        f"SELECT agent_id, logged_in_at, {columns} FROM structured.agent_sessions WHERE account_id = "
        "{account}",
    )
    return {
        (row[0], row[1]): (*row[2:-1], json.dumps(+Counter(json.loads(row[-1])), sort_keys=True))
        for row in found
    }


def differences(found: dict[Any, Any], wanted: dict[Any, Any]) -> dict[Any, Any]:
    return {
        key: (found.get(key), wanted.get(key))
        for key in found.keys() | wanted.keys()
        if found.get(key) != wanted.get(key)
    }


def becomes(what: Any, centre: Centre, wanted: dict[Any, Any], within: float = 90) -> None:
    """Waits until the rows are those; shows what differs if they never are."""
    try:
        eventually(lambda: what(centre) == wanted, within)
    except AssertionError:
        raise AssertionError(f"(found, wanted): {differences(what(centre), wanted)}") from None
