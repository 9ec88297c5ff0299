"""A contact centre of one account in a shard of its own: random traffic with disorder, corrections and deletes."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import Any

from core.clients import mysql
from simulator.source import create_source
from tests.conftest import Space
from tests.pipeline import Pipeline
from tests.stack.consumers.test_landing import make_shard
from tests.stack.flink_jobs.reference import World

NEXT = {"queued": ("ringing", "abandoned"), "ringing": ("talking", "queued"), "talking": ("wrap",), "wrap": ("closed",)}
STATES = ("available", "on contact", "after-contact work", "break", "offline")


def utc_now() -> dt.datetime:
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class Centre:
    def __init__(self, pipeline: Pipeline, space: Space, agents: int = 4, queues: int = 2) -> None:
        self.pipeline = pipeline
        self.shard = space.name("acc")
        self.account = 1_000_000 + space.number
        self.random = Random(space.number)
        self._first_seen: dict[tuple[int, int, str], dt.datetime] = {}
        self._next = self.account * 100_000
        create_source(pipeline.endpoints.mysql[0], [], "metadata")
        make_shard(pipeline, self.shard)
        self.agents = [self.account * 100 + number for number in range(agents)]
        self.queues = [self.account * 100 + number for number in range(queues)]
        self._seed()

    def _seed(self) -> None:
        account = self.account
        self.meta("INSERT INTO accounts (account_id, name, time_zone, created_at) VALUES (%s, 'Test', 'UTC', NOW())", account)
        for team in (account * 10, account * 10 + 1):
            self.meta("INSERT INTO teams (team_id, account_id, name) VALUES (%s, %s, %s)", team, account, f"Team {team}")
        for queue in self.queues:
            self.meta(
                "INSERT INTO queues (queue_id, account_id, name, channel) VALUES (%s, %s, %s, 'voice')", queue, account, f"Queue {queue}"
            )
        for agent in self.agents:
            self.agent(agent)
            for queue in self.random.sample(self.queues, self.random.randint(1, len(self.queues))):
                self.meta("INSERT INTO queue_members VALUES (%s, %s, %s)", queue, agent, account)

    def agent(self, agent: int) -> None:
        team = self.account * 10 + agent % 2
        self.meta(
            "INSERT INTO agents (agent_id, account_id, team_id, display_name) VALUES (%s, %s, %s, %s)",
            agent,
            self.account,
            team,
            f"Agent {agent} 🦊",
        )

    def meta(self, statement: str, *arguments: Any) -> None:
        self.pipeline.sql(statement, *arguments, database="metadata")

    def sql(self, statement: str, *arguments: Any) -> None:
        self.pipeline.sql(statement, *arguments, database=self.shard)

    def identity(self) -> int:
        self._next += 1
        return self._next

    def contact(self, started: dt.datetime | None = None) -> int:
        identity = self.identity()
        self.sql(
            "INSERT INTO interactions (interaction_id, account_id, channel, state, queue_id, started_at) "
            "VALUES (%s, %s, %s, 'queued', %s, %s)",
            identity,
            self.account,
            self.random.choice(("voice", "chat", "email")),
            self.random.choice(self.queues),
            started or utc_now(),
        )
        return identity

    def move(self, identity: int, state: str, agent: int | None, at: dt.datetime | None = None) -> None:
        """At its own time, which may be before the contact began."""
        moment = at or utc_now()
        self.sql(
            "UPDATE interactions SET state = %s, agent_id = %s, updated_at = %s, is_abandoned = %s, "
            "answered_at = IF(%s = 'talking', %s, answered_at), ended_at = IF(%s, %s, NULL) WHERE interaction_id = %s",
            *(state, agent, moment, state == "abandoned", state, moment, state in ("closed", "abandoned"), moment, identity),
        )
        if agent is not None:
            known = self._first_seen.setdefault((identity, agent, state), moment)
            self._first_seen[identity, agent, state] = min(known, moment)

    def activity(self, agent: int, state: str, at: dt.datetime | None = None) -> None:
        self.sql(
            "INSERT INTO agent_activity VALUES (%s, %s, %s, %s, NULL, %s)", self.identity(), self.account, agent, state, at or utc_now()
        )

    def segment(self, identity: int, number: int, kind: str) -> None:
        values = (identity, number, self.account, kind, self.agents[0], utc_now(), self.random.randrange(60_000))
        self.sql("INSERT INTO interaction_segments VALUES (%s, %s, %s, %s, %s, %s, %s)", *values)

    def survey(self, identity: int) -> None:
        self.sql(
            "INSERT INTO surveys VALUES (%s, %s, %s, %s, NULL, NULL, NOW())",
            self.identity(),
            identity,
            self.account,
            self.random.randrange(10),
        )

    def work(self, steps: int) -> None:
        """Contacts that come, move on, are corrected and deleted; agents who change their state, told in some disorder."""
        open_: dict[int, tuple[str, int | None]] = {}
        done: list[int] = []
        for _ in range(steps):
            what = self.random.random()
            if what < 0.25 or not open_:
                open_[self.contact()] = ("queued", None)
            elif what < 0.7:
                self._advance(open_, done)
            elif what < 0.9:
                self.activity(
                    self.random.choice(self.agents),
                    self.random.choice(STATES),
                    utc_now() - dt.timedelta(milliseconds=self.random.randrange(3000)),
                )
            elif done:
                self._correct(done)

    def _advance(self, open_: dict[int, tuple[str, int | None]], done: list[int]) -> None:
        identity = self.random.choice(list(open_))
        state, known = open_[identity]
        following = self.random.choice(NEXT[state])
        agent = None if following in ("queued", "abandoned") else known or self.random.choice(self.agents)
        self.move(identity, following, agent)
        if following == "wrap":
            for number, kind in enumerate(("wait", "talk", "hold", "wrap")):
                self.segment(identity, number, kind)
        if following in ("closed", "abandoned"):
            del open_[identity]
            done.append(identity)
        else:
            open_[identity] = (following, agent)

    def _correct(self, done: list[int]) -> None:
        identity = self.random.choice(done)
        what = self.random.randrange(4)
        if what == 0:
            self.sql("DELETE FROM interactions WHERE interaction_id = %s", identity)
            done.remove(identity)
        elif what == 1:
            self.sql(
                "UPDATE interactions SET queue_id = %s, cost = cost + 1 WHERE interaction_id = %s",
                self.random.choice(self.queues),
                identity,
            )
        elif what == 2:
            self.sql(
                "UPDATE interaction_segments SET duration_ms = duration_ms + 1000 WHERE interaction_id = %s AND kind = 'talk'", identity
            )
            self.sql("DELETE FROM interaction_segments WHERE interaction_id = %s AND kind = 'hold'", identity)
        else:
            self.survey(identity)

    def world(self) -> World:
        def rows(table: str, database: str) -> list[dict[str, Any]]:
            with mysql.cursor(self.pipeline.endpoints.mysql[0], database) as cursor:
                cursor.execute(f"SELECT * FROM {table} WHERE account_id = %s", (self.account,))
                names = [item[0] for item in cursor.description]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        agents, teams, queues, members = (rows(table, "metadata") for table in ("agents", "teams", "queues", "queue_members"))
        interactions, segments, surveys, activities = (
            rows(table, self.shard) for table in ("interactions", "interaction_segments", "surveys", "agent_activity")
        )
        return World(agents, teams, queues, members, interactions, segments, surveys, activities, self._first_seen)
