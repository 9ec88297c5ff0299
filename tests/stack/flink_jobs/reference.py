"""The jobs' formulas in plain Python, over the rows that MySQL holds in the end, and the versions that its
dimensions have had."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
Versions = Mapping[tuple[str, int], Sequence[tuple[dt.datetime, Row]]]

PRECEDENCE = {"error": 1, "missed": 2, "rejected": 3, "on contact": 4, "after-contact work": 5, "incoming": 6}
PRECEDENCE |= {"break": 7, "available": 8, "offline": 9}
OF_CONTACT = {"talking": "on contact", "wrap": "after-contact work", "ringing": "incoming"}


@dataclass
class World:
    """Every row as it stands.

    `entered` is when a contact last came into its state with its agent; `versions` are of each row of the
    metadata, by its table and key, when it became what it was, in that order.
    """

    accounts: list[Row]
    agents: list[Row]
    teams: list[Row]
    queues: list[Row]
    members: list[Row]
    interactions: list[Row]
    segments: list[Row]
    surveys: list[Row]
    activities: list[Row]
    entered: dict[int, dt.datetime] = field(default_factory=dict)
    versions: Versions = field(default_factory=dict)


def status(world: World) -> dict[int, tuple[Any, ...]]:
    """Agent -> (team, name, state, since, contacts by channel, queues, reason, team's id)."""
    claims: dict[int, list[tuple[int, dt.datetime, str, str]]] = defaultdict(list)
    contacts: dict[int, Counter[str]] = defaultdict(Counter)
    for agent, rows in _by(world.activities, "agent_id").items():
        newest = max(rows, key=lambda row: (_ms(row["occurred_at"]), row["activity_id"]))
        claims[agent].append(
            (PRECEDENCE[newest["state"]], _ms(newest["occurred_at"]), newest["state"], newest["reason"] or "")
        )
    for row in world.interactions:
        if row["state"] in OF_CONTACT and row["agent_id"] is not None:
            state = OF_CONTACT[row["state"]]
            claims[row["agent_id"]].append(
                (PRECEDENCE[state], world.entered[row["interaction_id"]], state, "")
            )
            contacts[row["agent_id"]][row["channel"]] += 1
    teams = {row["team_id"]: row["name"] for row in world.teams}
    agents: dict[int, Row] = {row["agent_id"]: row for row in world.agents}
    found = {}
    for identity in agents | claims:
        row = agents.get(identity, {"team_id": None, "display_name": None})
        _, since, state, reason = min(claims[identity], default=(0, None, "offline", ""))
        queues = sorted(member["queue_id"] for member in world.members if member["agent_id"] == identity)
        names = teams.get(row["team_id"]), row["display_name"]
        found[identity] = (*names, state, since, +contacts[identity], queues, reason or None, row["team_id"])
    return found


def stats(world: World) -> dict[int, tuple[Any, ...]]:
    """Queue -> (waiting, oldest waiting since, in service, agents available, busy, offline, name, channel,
    target)."""
    states = {agent: row[2] for agent, row in status(world).items()}
    found = {}
    for queue in world.queues:
        owned = [
            row
            for row in world.interactions
            if row["queue_id"] == queue["queue_id"] and row["direction"] == "in"
        ]
        waiting = [row["started_at"] for row in owned if row["state"] in ("queued", "ringing")]
        served = sum(row["state"] in ("talking", "wrap") for row in owned)
        agents = [states[row["agent_id"]] for row in world.members if row["queue_id"] == queue["queue_id"]]
        available, offline = agents.count("available"), agents.count("offline")
        busy = len(agents) - available - offline
        counts = (len(waiting), min(waiting, default=None), served, available, busy, offline)
        found[queue["queue_id"]] = (*counts, queue["name"], queue["channel"], queue["target_seconds"])
    return found


def minutes(world: World) -> dict[tuple[int, dt.datetime], tuple[int, ...]]:
    """(queue, minute) -> offered, answered, abandoned, short abandons, delay in ms, within target, handled,
    handle time in ms."""
    sums: dict[tuple[int, dt.datetime], list[int]] = defaultdict(lambda: [0] * 8)
    queues = {row["queue_id"]: row for row in world.queues}
    handling = {
        identity: sum(row["duration_ms"] for row in rows)
        for identity, rows in _by(
            (row for row in world.segments if row["kind"] != "wait"), "interaction_id"
        ).items()
    }
    for row in world.interactions:
        queue, started, answered, ended = (
            row["queue_id"],
            row["started_at"],
            row["answered_at"],
            row["ended_at"],
        )
        if row["direction"] != "in" or queue is None:
            continue
        _add(sums[queue, _minute(started)], {0: 1})
        if answered is not None:
            delay = max(0, int((answered - started) / dt.timedelta(milliseconds=1)))
            _add(
                sums[queue, _minute(answered)],
                {1: 1, 4: delay, 5: int(delay <= queues[queue]["target_seconds"] * 1000)},
            )
        elif row["is_abandoned"] and ended is not None:
            short = dt.timedelta(seconds=queues[queue]["short_abandon_seconds"])
            _add(sums[queue, _minute(ended)], {2: 1, 3: int(ended < started + short)})
        if row["state"] == "closed" and ended is not None and row["interaction_id"] in handling:
            _add(sums[queue, _minute(ended)], {6: 1, 7: handling[row["interaction_id"]]})
    return {key: tuple(values) for key, values in sums.items()}


def occupancy(world: World, since: dt.datetime, until: dt.datetime) -> dict[int, float | None]:
    """Queue -> its agents' time on contact / (on contact + available) between the two moments, by their own
    activities."""
    spent: dict[int, Counter[str]] = defaultdict(Counter)
    for agent, rows in _by(world.activities, "agent_id").items():
        steps = sorted((row["occurred_at"], row["activity_id"], row["state"]) for row in rows)
        for (start, _, state), (end, *_) in itertools.pairwise([*steps, (until, 0, "")]):
            spent[agent][state] += max(dt.timedelta(), min(end, until) - max(start, since)) // dt.timedelta(
                milliseconds=1
            )
    found: dict[int, float | None] = {}
    for queue in world.queues:
        owned = [spent[row["agent_id"]] for row in world.members if row["queue_id"] == queue["queue_id"]]
        contact = sum(each["on contact"] + each["after-contact work"] for each in owned)
        idle = sum(each["available"] for each in owned)
        found[queue["queue_id"]] = contact / (contact + idle) if contact + idle else None
    return found


def structured(world: World) -> dict[int, tuple[Any, ...]]:
    """Interaction -> (state, queue's name, agent's name, team's name, wait, talk, hold, wrap in ms, score,
    the others as in the table)."""
    segments, surveys = _by(world.segments, "interaction_id"), _by(world.surveys, "interaction_id")
    found = {}
    for row in world.interactions:
        identity, started = row["interaction_id"], row["started_at"]
        agent, queue, account = (
            _then(world.versions, table, row[key], started)
            for table, key in (("agents", "agent_id"), ("queues", "queue_id"), ("accounts", "account_id"))
        )
        team = _then(world.versions, "teams", agent.get("team_id"), started)
        spent = Counter[str]()
        for segment in segments.get(identity, ()):
            spent[segment["kind"]] += segment["duration_ms"]
        rated = max(
            surveys.get(identity, ()),
            key=lambda survey: (survey["answered_at"], survey["survey_id"]),
            default={"score": None},
        )
        found[identity] = (
            *(row["state"], queue.get("name"), agent.get("display_name"), team.get("name")),
            *(spent[kind] for kind in ("wait", "talk", "hold", "wrap")),
            rated["score"],
            *(
                row[name]
                for name in ("account_id", "started_at", "channel", "direction", "queue_id", "agent_id")
            ),
            *(row["answered_at"], row["ended_at"], bool(row["is_abandoned"]), row["cost"]),
            *(agent.get("team_id"), account["name"], account["time_zone"], account["tier"]),
        )
    return found


def sessions(activities: Iterable[Row]) -> dict[tuple[int, dt.datetime], tuple[Any, ...]]:
    """(agent, log-in) -> (log-out, newest, ms available, on contact, after-contact work, in other states,
    changes, ms by state)."""
    found: dict[tuple[int, dt.datetime], tuple[Any, ...]] = {}
    for agent, rows in _by(activities, "agent_id").items():
        steps = sorted((_ms(row["occurred_at"]), row["activity_id"], row["state"]) for row in rows)
        for session in _sessions([(at, state) for at, _, state in steps]):
            out = session[-1][0] if session[-1][1] == "offline" else None
            spent = Counter[str]()
            for (start, state), (end, _) in itertools.pairwise(session):
                if state != "offline":
                    spent[state] += int((end - start) / dt.timedelta(milliseconds=1))
            named = [spent[name] for name in ("available", "on contact", "after-contact work")]
            changes = 1 + sum(before != after for (_, before), (_, after) in itertools.pairwise(session))
            found[agent, session[0][0]] = (
                out,
                session[-1][0],
                *named,
                spent.total() - sum(named),
                changes,
                json.dumps(+spent, sort_keys=True),
            )
    return found


def _sessions(steps: Sequence[tuple[dt.datetime, str]]) -> list[list[tuple[dt.datetime, str]]]:
    found: list[list[tuple[dt.datetime, str]]] = []
    for step in steps:
        in_session = bool(found) and found[-1][-1][1] != "offline"
        if in_session or (found and step[1] != "offline" and found[-1][0][0] == step[0]):
            found[-1].append(step)
        elif step[1] != "offline":
            found.append([step])
    return found


def _then(versions: Versions, table: str, key: int | None, moment: dt.datetime) -> Row:
    """The row as it was at that moment, or first became later; empty if there never was one."""
    known = [] if key is None else versions.get((table, key), [])
    return next((row for since, row in reversed(known) if since <= moment), known[0][1] if known else {})


def _by(rows: Iterable[Row], column: str) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[column]].append(row)
    return found


def _ms(moment: dt.datetime) -> dt.datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _minute(moment: dt.datetime) -> dt.datetime:
    return moment.replace(second=0, microsecond=0)


def _add(sums: list[int], values: dict[int, int]) -> None:
    for index, value in values.items():
        sums[index] += value
