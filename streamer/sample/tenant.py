"""The state of one tenant: its rows, and what is derived from them: windows, occupancies, which teams see
which queue."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from core.clock import EPOCH
from streamer.sample.freshness import Freshness
from streamer.sample.occupancy import AgentTimelines, occupancy
from streamer.sample.windows import Frame, Windows, frame

AGENTS, QUEUES, MINUTES, ACTIVITIES = "agent_status", "queue_stats", "queue_minutes", "agent_activity"
UTC = ZoneInfo("UTC")
MILLISECOND = dt.timedelta(milliseconds=1)
AGENT_SPAN = "60m"
MIN_OCCUPANCY_CHANGE = 0.01
"""A smaller change of an agent's occupancy is sent only with the agent's next change."""
Row = dict[str, Any]
Teams = frozenset[int] | None
"""The teams of a token; None grants all."""


class View(NamedTuple):
    """What the subscribers with these teams see of a tenant."""

    tenant: int
    teams: Teams


@dataclass
class Tenant:
    agents: dict[int, Row] = field(default_factory=dict)
    queues: dict[int, Row] = field(default_factory=dict)
    windows: dict[int, Windows] = field(default_factory=lambda: defaultdict(Windows))
    timelines: AgentTimelines = field(default_factory=AgentTimelines)
    zone: ZoneInfo = UTC
    shards: set[str] = field(default_factory=set)
    """The source databases of its activities."""
    freshness: Freshness = field(default_factory=lambda: Freshness((AGENTS, QUEUES)))
    occupancies: dict[int, dict[str, float | None]] = field(default_factory=dict)
    """Queue -> span -> occupancy, as of the last `measure`."""
    agent_occupancies: dict[int, float | None] = field(default_factory=dict)
    """As of the last `measure` that changed them by at least `MIN_OCCUPANCY_CHANGE`."""
    changed_agents: set[int] = field(default_factory=set)
    changed_queues: set[int] = field(default_factory=set)
    occupancy_changed_agents: set[int] = field(default_factory=set)
    """Agents whose occupancy the last `measure` changed."""
    _members: Counter[tuple[int, int]] = field(default_factory=Counter)
    """(team, queue) -> the number of the team's agents who serve the queue."""

    def put_agent(self, agent: int, row: Row | None) -> None:
        """Sets the agent's row, whose `queues` is JSON as in the topic; None removes the agent."""
        if row is not None:
            row = {**row, "queues": sorted(json.loads(row["queues"]))}
        before = self.agents.pop(agent, None)
        if before is not None:
            self._update_members(before, -1)
        if row is not None:
            self._update_members(row, 1)
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

    def _update_members(self, row: Row, step: int) -> None:
        """Counts the agent's queues; one that a team begins or ceases to serve changes visibility, and is
        marked as changed."""
        for queue in row["queues"]:
            member = (row["team_id"], queue)
            self._members[member] += step
            if self._members[member] == max(step, 0):
                self.changed_queues.add(queue)
            if not self._members[member]:
                del self._members[member]

    def sees_agent(self, agent: int, teams: Teams) -> bool:
        row = self.agents.get(agent)
        return row is not None and (teams is None or row["team_id"] in teams)

    def sees_queue(self, queue: int, teams: Teams) -> bool:
        """Whether a queue is visible: it is, to each team that has an agent in it."""
        return queue in self.queues and (
            teams is None or any((team, queue) in self._members for team in teams)
        )

    def frame(self, now: dt.datetime) -> Frame:
        return frame(now, self.zone)

    def measure(self, now: dt.datetime) -> None:
        """Computes every occupancy as of `now`, in UTC; takes one or two microseconds for each agent and
        window."""
        begins = self.frame(now).begins
        times = self.timelines.time_in_state(self.agents, [ms(begin) for begin in begins.values()], ms(now))
        members: dict[int, list[int]] = defaultdict(list)
        for agent in times:
            for queue in self.agents[agent]["queues"]:
                members[queue].append(agent)
        self.occupancies = {
            queue: {
                span: occupancy(times[agent][index] for agent in agents) for index, span in enumerate(begins)
            }
            for queue, agents in members.items()
        }
        index = list(begins).index(AGENT_SPAN)
        self._update_agent_occupancies((agent, occupancy([parts[index]])) for agent, parts in times.items())

    def _update_agent_occupancies(self, found: Iterable[tuple[int, float | None]]) -> None:
        self.occupancy_changed_agents = set()
        for agent, value in found:
            before = self.agent_occupancies.get(agent)
            if value != before and (
                value is None or before is None or abs(value - before) >= MIN_OCCUPANCY_CHANGE
            ):
                self.agent_occupancies[agent] = value
                self.occupancy_changed_agents.add(agent)


def ms(moment: dt.datetime) -> int:
    return (moment - EPOCH) // MILLISECOND
