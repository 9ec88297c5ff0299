"""A contact centre of one account in a shard of its own: random traffic with disorder, corrections and
deletes."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from random import Random
from typing import Any

from core.clients import mysql
from simulator.source import create_source
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually
from tests.stack.consumers.test_landing import make_shard
from tests.stack.flink_jobs.reference import Row, World

NEXT = {
    "queued": ("ringing", "ringing", "abandoned"),
    "ringing": ("talking", "talking", "queued"),
    "talking": ("wrap",),
    "wrap": ("closed",),
}
STATES = ("available", "on contact", "after-contact work", "break", "offline")
SELDOM = ("error", "missed", "rejected")
REASONS = (None, "", "lunch", "a|b|", "two\nlines, 'quoted' \"twice\"", "été 🦊")
KEYS = {"accounts": "account_id", "teams": "team_id", "queues": "queue_id", "agents": "agent_id"}
UNCERTAIN = dt.timedelta(seconds=1.1)
"""A commit's time may be told in whole seconds: what started just before a dimension changed may count as
after it."""


def utc_now() -> dt.datetime:
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class Centre:
    def __init__(
        self, pipeline: Pipeline, space: Space, agents: int = 4, queues: int = 2, zone: str = "UTC"
    ) -> None:
        self.pipeline = pipeline
        self.shard = space.name("acc")
        self.account = 1_000_000 + space.number
        self.random = Random(space.number)
        self.activities: list[int] = []
        self.versions: dict[tuple[str, int], list[tuple[dt.datetime, Row]]] = defaultdict(list)
        self._changed: list[tuple[dt.datetime, dt.datetime]] = []
        self._newest_start = dt.datetime.min
        self._entered: dict[int, tuple[str, int | None, dt.datetime]] = {}
        self._next = self.account * 100_000
        create_source(pipeline.endpoints.mysql[0], [], "metadata")
        make_shard(pipeline, self.shard)
        self.agents = [self.account * 100 + number for number in range(agents)]
        self.queues = [self.account * 100 + number for number in range(queues)]
        self.teams = [self.account * 10, self.account * 10 + 1]
        self._seed(zone)

    def _seed(self, zone: str) -> None:
        account = self.account
        self.meta(
            "INSERT INTO accounts (account_id, name, time_zone, created_at) VALUES (%s, 'Test', %s, NOW())",
            account,
            zone,
        )
        for team in self.teams:
            self.meta(
                "INSERT INTO teams (team_id, account_id, name) VALUES (%s, %s, %s)",
                team,
                account,
                f"Team {team}",
            )
        for queue in self.queues:
            values = (
                queue,
                account,
                f"Queue {queue}",
                self.random.randrange(5, 40),
                self.random.randrange(3, 8),
            )
            self.meta(
                "INSERT INTO queues (queue_id, account_id, name, channel, target_seconds, "
                "short_abandon_seconds) "
                "VALUES (%s, %s, %s, 'voice', %s, %s)",
                *values,
            )
        for agent in self.agents:
            self.agent(agent)
            chosen = self.random.sample(self.queues, self.random.randint(1, len(self.queues)))
            for queue in self.queues if agent == self.agents[0] else chosen:
                self.join(agent, queue)
        for table, numbers in (
            ("accounts", [account]),
            ("teams", self.teams),
            ("queues", self.queues),
            ("agents", self.agents),
        ):
            for number in numbers:
                self._remember(table, number)

    def agent(self, agent: int) -> None:
        team = self.teams[agent % 2]
        self.meta(
            "INSERT INTO agents (agent_id, account_id, team_id, display_name) VALUES (%s, %s, %s, %s)",
            agent,
            self.account,
            team,
            f"Agent {agent} 🦊",
        )

    def join(self, agent: int, queue: int) -> None:
        self.meta("INSERT INTO queue_members VALUES (%s, %s, %s)", queue, agent, self.account)

    def meta(self, statement: str, *arguments: Any) -> None:
        self.pipeline.sql(statement, *arguments, database="metadata")

    def change(self, table: str, key: int, **values: Any) -> None:
        """Of a row of the metadata, so that `reference` knows what it was before."""
        began = utc_now()
        columns = ", ".join(f"{name} = %s" for name in values)
        self.meta(f"UPDATE {table} SET {columns} WHERE {KEYS[table]} = %s", *values.values(), key)
        self._remember(table, key)
        # To the moment that `versions` gives for the change, which is later than the commit.
        self._changed.append((began - UNCERTAIN, utc_now() + dt.timedelta(milliseconds=2)))

    def _remember(self, table: str, key: int) -> None:
        (row,) = self._rows(table, "metadata", f"{KEYS[table]} = {key}")
        self.versions[table, key].append((utc_now(), row))

    def sql(self, statement: str, *arguments: Any) -> None:
        self.pipeline.sql(statement, *arguments, database=self.shard)

    def identity(self) -> int:
        self._next += 1
        return self._next

    def contact(
        self, started: dt.datetime | None = None, queue: int | None = None, direction: str = "in"
    ) -> int:
        identity, now = self.identity(), utc_now()
        begin = started or now
        self._newest_start = max(self._newest_start, min(begin, now))
        self.sql(
            "INSERT INTO interactions (interaction_id, account_id, channel, direction, state, queue_id, "
            "started_at) "
            "VALUES (%s, %s, %s, %s, 'queued', %s, %s)",
            identity,
            self.account,
            self.random.choice(("voice", "chat", "email")),
            direction,
            queue or self.random.choice(self.queues),
            begin,
        )
        return identity

    def move(self, identity: int, state: str, agent: int | None, at: dt.datetime | None = None) -> None:
        """At its own time, which may be before the contact began."""
        moment = at or utc_now()
        self.sql(
            "UPDATE interactions SET state = %s, agent_id = %s, updated_at = %s, is_abandoned = %s, "
            "answered_at = IF(%s = 'talking', %s, answered_at), ended_at = IF(%s, %s, NULL) WHERE "
            "interaction_id = %s",
            *(
                state,
                agent,
                moment,
                state == "abandoned",
                state,
                moment,
                state in ("closed", "abandoned"),
                moment,
                identity,
            ),
        )
        if self._entered.get(identity, ("", None, moment))[:2] != (state, agent):
            self._entered[identity] = (state, agent, moment)

    def activity(
        self, agent: int, state: str, at: dt.datetime | None = None, reason: str | None = None
    ) -> int:
        identity = self.identity()
        values = (identity, self.account, agent, state, reason, at or utc_now())
        self.sql("INSERT INTO agent_activity VALUES (%s, %s, %s, %s, %s, %s)", *values)
        self.activities.append(identity)
        return identity

    def segment(self, identity: int, number: int, kind: str) -> None:
        values = (
            identity,
            number,
            self.account,
            kind,
            self.agents[0],
            utc_now(),
            self.random.randrange(60_000),
        )
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
        """Contacts that come, move on, are corrected and deleted; agents who change their state, told in some
        disorder."""
        open_: dict[int, tuple[str, int | None]] = {}
        done: list[int] = []
        for _ in range(steps):
            what = self.random.random()
            if what < 0.25 or not open_:
                open_[
                    self.contact(self._start(), direction="out" if self.random.random() < 0.1 else "in")
                ] = ("queued", None)
            elif what < 0.65:
                self._advance(open_, done)
            elif what < 0.85:
                self._act()
            elif what < 0.9:
                self._correct_activity()
            elif done and what < 0.97:
                self._correct(done)
            else:
                self.sql(
                    "UPDATE interactions SET notes = UUID() WHERE interaction_id = %s",
                    self.random.choice(list(open_)),
                )

    def _start(self) -> dt.datetime:
        """Within the last minute, and not while a dimension was changing."""
        while True:
            moment = utc_now() - dt.timedelta(
                milliseconds=self.random.randrange(self.random.choice((8_000, 60_000)))
            )
            if not any(begin <= moment <= end for begin, end in self._changed):
                return moment

    def _act(self) -> None:
        late = dt.timedelta(milliseconds=self.random.randrange(self.random.choice((3_000, 3_600_000))))
        state = self.random.choice(SELDOM if self.random.random() < 0.15 else STATES)
        self.activity(self.random.choice(self.agents), state, utc_now() - late, self.random.choice(REASONS))

    def _correct_activity(self) -> None:
        if not self.activities:
            return
        identity = self.random.choice(self.activities[-30:])
        what = self.random.randrange(3)
        if what == 0:
            self.sql("DELETE FROM agent_activity WHERE activity_id = %s", identity)
            self.activities.remove(identity)
        else:
            column, values = (("state", STATES + SELDOM), ("agent_id", self.agents))[what - 1]
            self.sql(
                f"UPDATE agent_activity SET {column} = %s WHERE activity_id = %s",
                self.random.choice(values),
                identity,
            )

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
        what = self.random.randrange(6)
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
                "UPDATE interaction_segments SET duration_ms = duration_ms + 1000 WHERE interaction_id = %s "
                "AND kind = 'talk'",
                identity,
            )
            self.sql("DELETE FROM interaction_segments WHERE interaction_id = %s AND kind = 'hold'", identity)
        elif what == 3:
            self.sql(
                "DELETE FROM surveys WHERE interaction_id = %s ORDER BY survey_id DESC LIMIT 1", identity
            )
        else:
            self.survey(identity)

    def reorganise(self) -> None:
        """Names change, agents move to other teams and queues, and what queues are measured by changes.

        Not before every contact has clearly started before it: see `IN_DOUBT`.
        """
        eventually(lambda: utc_now() - self._newest_start > UNCERTAIN)
        choose, mark = self.random.choice, self.random.randrange(1000)
        self.change("teams", choose(self.teams), name=f"Team of {mark}")
        self.change(
            "agents", choose(self.agents), team_id=choose(self.teams), display_name=f"Ms. {mark} | Ålesund"
        )
        self.change("agents", choose(self.agents), team_id=choose(self.teams))
        self.change("queues", choose(self.queues), name=f"Queue of {mark}")
        self.change("queues", choose(self.queues), target_seconds=mark % 40, short_abandon_seconds=mark % 7)
        self.change(
            "accounts",
            self.account,
            name=f"Test {mark}",
            time_zone=choose(("UTC", "Asia/Kolkata")),
            tier=choose(("trial", "enterprise")),
        )
        mover = choose(self.agents[1:])
        self.meta("DELETE FROM queue_members WHERE agent_id = %s", mover)
        self.join(mover, choose(self.queues))

    def stray(self) -> None:
        """What no source should tell: times that contradict each other, an agent and an end that fit
        nothing."""
        before, stranger = utc_now() - dt.timedelta(hours=1), self.account * 100 + 77
        early, backwards, answered, strange = (self.contact(self._start()) for _ in range(4))
        self.contact(utc_now() + dt.timedelta(hours=1))
        self.move(early, "abandoned", None, before)
        self.move(backwards, "talking", self.agents[1], before)
        self.move(answered, "talking", self.agents[0])
        self.move(answered, "abandoned", None)
        self.move(strange, "talking", stranger)

    def world(self) -> World:
        accounts, *others = (
            self._rows(table, "metadata")
            for table in ("accounts", "agents", "teams", "queues", "queue_members")
        )
        agents, teams, queues, members = others
        interactions, segments, surveys, activities = (
            self._rows(table, self.shard)
            for table in ("interactions", "interaction_segments", "surveys", "agent_activity")
        )
        entered = {identity: moment for identity, (_, _, moment) in self._entered.items()}
        versions = dict(self.versions)
        return World(
            accounts,
            agents,
            teams,
            queues,
            members,
            interactions,
            segments,
            surveys,
            activities,
            entered,
            versions,
        )

    def _rows(self, table: str, database: str, condition: str = "TRUE") -> list[Row]:
        with mysql.cursor(self.pipeline.endpoints.mysql[0], database) as cursor:
            cursor.execute(f"SELECT * FROM {table} WHERE account_id = %s AND {condition}", (self.account,))
            names = [item[0] for item in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
