"""The jobs' formulas in plain Python, over the rows that MySQL holds in the end."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]

PRECEDENCE = {"on contact": 4, "after-contact work": 5, "incoming": 6, "break": 7, "available": 8, "offline": 9}
OF_CONTACT = {"talking": "on contact", "wrap": "after-contact work", "ringing": "incoming"}
SHORT = dt.timedelta(seconds=5)


@dataclass
class World:
    """Every row as it stands; `first_seen` is when a contact was first in a state with an agent."""

    agents: list[Row]
    teams: list[Row]
    queues: list[Row]
    members: list[Row]
    interactions: list[Row]
    segments: list[Row]
    surveys: list[Row]
    activities: list[Row]
    first_seen: dict[tuple[int, int, str], dt.datetime] = field(default_factory=dict)


def status(world: World) -> dict[int, tuple[Any, ...]]:
    """Agent -> (team, name, state, since, contacts by channel, queues)."""
    claims: dict[int, list[tuple[int, dt.datetime, str]]] = defaultdict(list)
    contacts: dict[int, Counter[str]] = defaultdict(Counter)
    for agent, rows in _by(world.activities, "agent_id").items():
        newest = max(rows, key=lambda row: (row["occurred_at"], row["activity_id"]))
        claims[agent].append((PRECEDENCE[newest["state"]], newest["occurred_at"], newest["state"]))
    for row in world.interactions:
        if row["state"] in OF_CONTACT and row["agent_id"] is not None:
            state = OF_CONTACT[row["state"]]
            since = world.first_seen[row["interaction_id"], row["agent_id"], row["state"]]
            claims[row["agent_id"]].append((PRECEDENCE[state], since, state))
            contacts[row["agent_id"]][row["channel"]] += 1
    teams = {row["team_id"]: row["name"] for row in world.teams}
    found = {}
    for row in world.agents:
        identity = row["agent_id"]
        best = min(claims[identity], default=None)
        last = "offline" if best is None else best[2]
        queues = {member["queue_id"] for member in world.members if member["agent_id"] == identity}
        found[identity] = (teams[row["team_id"]], row["display_name"], last, None if best is None else best[1], +contacts[identity], queues)
    return found


def stats(world: World) -> dict[int, tuple[Any, ...]]:
    """Queue -> (waiting, oldest waiting since, in service, agents available, busy, offline)."""
    states = {agent: row[2] for agent, row in status(world).items()}
    found = {}
    for queue in world.queues:
        mine = [row for row in world.interactions if row["queue_id"] == queue["queue_id"]]
        waiting = [row["started_at"] for row in mine if row["state"] in ("queued", "ringing")]
        served = sum(row["state"] in ("talking", "wrap") for row in mine)
        agents = [states[row["agent_id"]] for row in world.members if row["queue_id"] == queue["queue_id"]]
        available, offline = agents.count("available"), agents.count("offline")
        found[queue["queue_id"]] = (len(waiting), min(waiting, default=None), served, available, len(agents) - available - offline, offline)
    return found


def minutes(world: World) -> dict[tuple[int, dt.datetime], tuple[int, ...]]:
    """(queue, minute) -> offered, answered, abandoned, short abandons, delay in ms, within target, handled, handle time in ms."""
    sums: dict[tuple[int, dt.datetime], list[int]] = defaultdict(lambda: [0] * 8)
    targets = {row["queue_id"]: row["target_seconds"] for row in world.queues}
    handling = {
        identity: sum(row["duration_ms"] for row in rows if row["kind"] != "wait")
        for identity, rows in _by(world.segments, "interaction_id").items()
    }
    for row in world.interactions:
        queue, started, answered, ended = row["queue_id"], row["started_at"], row["answered_at"], row["ended_at"]
        _add(sums[queue, _minute(started)], {0: 1})
        if answered is not None:
            delay = max(0, int((answered - started) / dt.timedelta(milliseconds=1)))
            _add(sums[queue, _minute(answered)], {1: 1, 4: delay, 5: int(delay <= targets[queue] * 1000)})
        if row["is_abandoned"] and ended is not None:
            _add(sums[queue, _minute(ended)], {2: 1, 3: int(ended < started + SHORT)})
        if row["state"] == "closed" and ended is not None and row["interaction_id"] in handling:
            _add(sums[queue, _minute(ended)], {6: 1, 7: handling[row["interaction_id"]]})
    return {key: tuple(values) for key, values in sums.items()}


def occupancy(world: World, since: dt.datetime, until: dt.datetime) -> dict[int, float | None]:
    """Queue -> its agents' time on contact / (on contact + available) between the two moments, by their own activities."""
    spent: dict[int, Counter[str]] = defaultdict(Counter)
    for agent, rows in _by(world.activities, "agent_id").items():
        steps = sorted((row["occurred_at"], row["activity_id"], row["state"]) for row in rows)
        for (start, _, state), (end, *_) in itertools.pairwise([*steps, (until, 0, "")]):
            spent[agent][state] += max(dt.timedelta(), min(end, until) - max(start, since)) // dt.timedelta(milliseconds=1)
    found: dict[int, float | None] = {}
    for queue in world.queues:
        mine = [spent[row["agent_id"]] for row in world.members if row["queue_id"] == queue["queue_id"]]
        contact = sum(each["on contact"] + each["after-contact work"] for each in mine)
        idle = sum(each["available"] for each in mine)
        found[queue["queue_id"]] = contact / (contact + idle) if contact + idle else None
    return found


def structured(world: World) -> dict[int, tuple[Any, ...]]:
    """Interaction -> (state, queue's name, agent's name, team's name, wait, talk, hold, wrap in ms, score)."""
    agents, teams = ({row[key]: row for row in rows} for key, rows in (("agent_id", world.agents), ("team_id", world.teams)))
    queues = {row["queue_id"]: row["name"] for row in world.queues}
    segments, surveys = _by(world.segments, "interaction_id"), _by(world.surveys, "interaction_id")
    found = {}
    for row in world.interactions:
        identity, agent = row["interaction_id"], agents.get(row["agent_id"])
        spent = Counter[str]()
        for segment in segments.get(identity, ()):
            spent[segment["kind"]] += segment["duration_ms"]
        score = max(
            ((survey["answered_at"], survey["survey_id"], survey["score"]) for survey in surveys.get(identity, ())), default=(0, 0, None)
        )[2]
        names = (None, None) if agent is None else (agent["display_name"], teams[agent["team_id"]]["name"])
        found[identity] = (
            row["state"],
            queues[row["queue_id"]],
            *names,
            *(spent[kind] for kind in ("wait", "talk", "hold", "wrap")),
            score,
        )
    return found


def sessions(activities: Iterable[Row]) -> dict[tuple[int, dt.datetime], tuple[Any, ...]]:
    """(agent, log-in) -> (log-out, newest, ms available, on contact, after-contact work, in other states)."""
    found: dict[tuple[int, dt.datetime], tuple[Any, ...]] = {}
    for agent, rows in _by(activities, "agent_id").items():
        steps = sorted(
            (row["occurred_at"].replace(microsecond=row["occurred_at"].microsecond // 1000 * 1000), row["state"]) for row in rows
        )
        for session in _sessions(steps):
            out = session[-1][0] if session[-1][1] == "offline" else None
            spent = Counter[str]()
            for (start, state), (end, _) in itertools.pairwise(session):
                name = state if state in ("available", "on contact", "after-contact work") else "other"
                spent[name] += int((end - start) / dt.timedelta(milliseconds=1))
            times = (spent[name] for name in ("available", "on contact", "after-contact work", "other"))
            found[agent, session[0][0]] = (out, session[-1][0], *times)
    return found


def _sessions(steps: Sequence[tuple[dt.datetime, str]]) -> list[list[tuple[dt.datetime, str]]]:
    found: list[list[tuple[dt.datetime, str]]] = []
    for step in steps:
        in_session = bool(found) and found[-1][-1][1] != "offline"
        if in_session:
            found[-1].append(step)
        elif step[1] != "offline":
            found.append([step])
    return found


def _by(rows: Iterable[Row], column: str) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[column]].append(row)
    return found


def _minute(moment: dt.datetime) -> dt.datetime:
    return moment.replace(second=0, microsecond=0)


def _add(sums: list[int], values: dict[int, int]) -> None:
    for index, value in values.items():
        sums[index] += value
