"""One tenant as the topics tell it, and what follows from that: windows, occupancies, who sees which queue."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from streamer.freshness import Freshness
from streamer.occupancy import Tracks, occupancy
from streamer.windows import Frame, Windows, frame

AGENTS, QUEUES, MINUTES, ACTIVITIES = "agent_status", "queue_stats", "queue_minutes", "agent_activity"
UTC = ZoneInfo("UTC")
EPOCH, MILLISECOND = dt.datetime(1970, 1, 1), dt.timedelta(milliseconds=1)
AGENT_SPAN = "60m"
WORTH_TELLING = 0.01
"""An agent's occupancy that moved by less is told with the agent's next change."""
Row = dict[str, Any]
Teams = frozenset[int] | None
"""Those of a token; None is all of them."""


@dataclass
class Tenant:
    agents: dict[int, Row] = field(default_factory=dict)
    queues: dict[int, Row] = field(default_factory=dict)
    windows: dict[int, Windows] = field(default_factory=lambda: defaultdict(Windows))
    tracks: Tracks = field(default_factory=Tracks)
    zone: ZoneInfo = UTC
    shards: set[str] = field(default_factory=set)
    """The source databases that its activities come from."""
    freshness: Freshness = field(default_factory=lambda: Freshness((AGENTS, QUEUES)))
    occupancies: dict[int, dict[str, float | None]] = field(default_factory=dict)
    """Queue -> span -> occupancy, as `measure` found them last."""
    agent_occupancies: dict[int, float | None] = field(default_factory=dict)
    """As `measure` found them when they last differed by what is worth telling."""
    changed_agents: set[int] = field(default_factory=set)
    changed_queues: set[int] = field(default_factory=set)
    turned_agents: set[int] = field(default_factory=set)
    """Those whose occupancy `measure` found another."""
    _members: Counter[tuple[int, int]] = field(default_factory=Counter)
    """(team, queue) -> how many of the team's agents serve it."""

    def put_agent(self, agent: int, row: Row | None) -> None:
        """`queues` is JSON, as the topic has it. None takes the agent away."""
        if row is not None:
            row = {**row, "queues": sorted(json.loads(row["queues"]))}
        before = self.agents.pop(agent, None)
        if before is not None:
            self._serve(before, -1)
        if row is not None:
            self._serve(row, 1)
            self.agents[agent] = row
        else:
            self.agent_occupancies.pop(agent, None)
        self.changed_agents.add(agent)

    def put_queue(self, queue: int, row: Row | None) -> None:
        if row is None:
            self.queues.pop(queue, None)
        else:
            self.queues[queue] = row
        self.changed_queues.add(queue)

    def _serve(self, row: Row, step: int) -> None:
        """A queue that a team begins or ceases to serve is one that its supervisors begin or cease to see."""
        for queue in row["queues"]:
            place = (row["team_id"], queue)
            self._members[place] += step
            if self._members[place] == max(step, 0):
                self.changed_queues.add(queue)
            if not self._members[place]:
                del self._members[place]

    def sees_agent(self, agent: int, teams: Teams) -> bool:
        row = self.agents.get(agent)
        return row is not None and (teams is None or row["team_id"] in teams)

    def sees_queue(self, queue: int, teams: Teams) -> bool:
        """A queue is of each team that has an agent in it."""
        return queue in self.queues and (teams is None or any((team, queue) in self._members for team in teams))

    def frame(self, now: dt.datetime) -> Frame:
        return frame(now, self.zone)

    def measure(self, now: dt.datetime) -> None:
        """Computes every occupancy as of now, in UTC; a microsecond or two for each agent and window."""
        begins = self.frame(now).begins
        spent = self.tracks.spent(self.agents, [ms(begin) for begin in begins.values()], ms(now))
        members: dict[int, list[int]] = defaultdict(list)
        for agent in spent:
            for queue in self.agents[agent]["queues"]:
                members[queue].append(agent)
        self.occupancies = {
            queue: {span: occupancy(spent[agent][place] for agent in agents) for place, span in enumerate(begins)}
            for queue, agents in members.items()
        }
        place = list(begins).index(AGENT_SPAN)
        self._turn((agent, occupancy([parts[place]])) for agent, parts in spent.items())

    def _turn(self, found: Iterable[tuple[int, float | None]]) -> None:
        self.turned_agents = set()
        for agent, value in found:
            before = self.agent_occupancies.get(agent)
            if value != before and (value is None or before is None or abs(value - before) >= WORTH_TELLING):
                self.agent_occupancies[agent] = value
                self.turned_agents.add(agent)


def ms(moment: dt.datetime) -> int:
    return (moment - EPOCH) // MILLISECOND
