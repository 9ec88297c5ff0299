"""A contact centre with names, at the end of a working day, as in the documents' screenshots."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.clients import mysql
from tests.conftest import Space
from tests.pipeline import Pipeline
from tests.stack.flink_jobs.centre import Centre, utc_now

AGENTS = (
    ("Ada Lovelace", "Retention"),
    ("Chidi Okafor", "Sales"),
    ("Elif Demir", "Technical support"),
    ("Grace Hopper", "Sales"),
    ("Inês Carvalho", "Billing"),
    ("Jakub Nowak", "Technical support"),
    ("Lena Fischer", "Billing"),
    ("Mário Santos", "Retention"),
    ("Ngozi Adeyemi", "Sales"),
    ("Olena Koval", "Technical support"),
    ("Priya Raman", "Billing"),
    ("Zoë Müller", "Retention"),
)
QUEUES = (("Billing", "voice"), ("Sales chat", "chat"), ("Support", "voice"), ("VIP", "voice"))
DAY = dt.timedelta(hours=7, minutes=30)
SECOND = dt.timedelta(seconds=1)
# What an agent does, over and over: for so many seconds at least and at most.
ROUND = (("available", 20, 300), ("on contact", 120, 600), ("after-contact work", 20, 120))
NOW = ("on contact",) * 4 + (
    "after-contact work",
    "available",
    "break",
    "break",
    "on contact",
    "available",
    "offline",
    "available",
)
LONG_BREAK = 22
"""Minutes: longer than the page's usual threshold."""


@dataclass(frozen=True)
class Spell:
    state: str
    begin: dt.datetime
    end: dt.datetime


class WorkingDayCentre(Centre):
    def __init__(self, pipeline: Pipeline, space: Space) -> None:
        super().__init__(pipeline, space, agents=len(AGENTS), queues=len(QUEUES))
        self._name()
        self._write_day(utc_now())

    def _name(self) -> None:
        teams = sorted({team for _, team in AGENTS})
        for number, team in enumerate(teams):
            self.meta(
                "REPLACE INTO teams (team_id, account_id, name) VALUES (%s, %s, %s)",
                self.account * 10 + number,
                self.account,
                team,
            )
        for agent, (name, team) in zip(self.agents, AGENTS, strict=True):
            team_id = self.account * 10 + teams.index(team)
            self.meta(
                "UPDATE agents SET display_name = %s, team_id = %s WHERE agent_id = %s", name, team_id, agent
            )
        for queue, (name, channel) in zip(self.queues, QUEUES, strict=True):
            self.meta("UPDATE queues SET name = %s, channel = %s WHERE queue_id = %s", name, channel, queue)

    def _write_day(self, now: dt.datetime) -> None:
        activities: list[tuple[Any, ...]] = []
        contacts: list[tuple[Any, ...]] = []
        segments: list[tuple[Any, ...]] = []
        for agent, last in zip(self.agents, NOW, strict=True):
            for spell in self._spells(now, last):
                reason = "Lunch" if spell.state == "break" else None
                activities.append((self.identity(), self.account, agent, spell.state, reason, spell.begin))
                if spell.state == "on contact" and spell.end < now:
                    self._handled(agent, spell, contacts, segments)
        contacts += self._abandoned(now)
        self._write("agent_activity VALUES (%s, %s, %s, %s, %s, %s)", activities)
        names = (
            "interaction_id, account_id, channel, state, queue_id, agent_id, started_at, answered_at, "
            "ended_at, is_abandoned, updated_at"
        )
        self._write(f"interactions ({names}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", contacts)
        self._write("interaction_segments VALUES (%s, %s, %s, %s, %s, %s, %s)", segments)
        self._write_open_contacts(now)

    def _spells(self, now: dt.datetime, last: str) -> Iterator[Spell]:
        """From the log-in up to what lasts now."""
        moment = now - DAY - self.random.randrange(1800) * SECOND
        began_last = now - (LONG_BREAK * 60 if last == "break" else self.random.randrange(30, 200)) * SECOND
        while moment < began_last:
            for state, minimum, maximum in ROUND:
                end = min(began_last, moment + self.random.randrange(minimum, maximum) * SECOND)
                if moment < end:
                    yield Spell(state, moment, end)
                moment = end
        yield Spell(last, began_last, now)

    def _handled(
        self, agent: int, spell: Spell, contacts: list[tuple[Any, ...]], segments: list[tuple[Any, ...]]
    ) -> None:
        identity, waited = (
            self.identity(),
            self.random.choice((3, 5, 6, 8, 9, 11, 12, 13, 15, 17, 18, 34)) * SECOND,
        )
        queue, channel = self._queue()
        began, ended = spell.begin - waited, spell.end
        contacts.append(
            (identity, self.account, channel, "closed", queue, agent, began, spell.begin, ended, False, ended)
        )
        talked = (ended - spell.begin) // dt.timedelta(milliseconds=1)
        segments.append((identity, 0, self.account, "talk", agent, spell.begin, talked))

    def _abandoned(self, now: dt.datetime) -> Iterator[tuple[Any, ...]]:
        for minute in self.random.sample(range(2, int(DAY.total_seconds() // 60)), 30):
            began, waited = now - minute * 60 * SECOND, self.random.choice((3, 20, 45, 80)) * SECOND
            queue, channel = self._queue()
            yield (
                self.identity(),
                self.account,
                channel,
                "abandoned",
                queue,
                None,
                began,
                None,
                began + waited,
                True,
                began + waited,
            )

    def _write_open_contacts(self, now: dt.datetime) -> None:
        """Contacts that are talked with, ring and wait: at the first queue for too long, at the second too
        many."""
        for agent, state in zip(self.agents, NOW, strict=True):
            if state == "on contact":
                began = now - self.random.randrange(60, 240) * SECOND
                self.move(self._contact(began, *self._queue()), "talking", agent, began + 9 * SECOND)
        self.move(self._contact(now, self.queues[3], "voice"), "ringing", self.agents[5])
        for waited in (240, 15):
            self._contact(now - waited * SECOND, self.queues[0], "voice")
        for waited in (9, 14, 22, 31, 35, 41):
            self._contact(now - waited * SECOND, self.queues[1], "chat")

    def _contact(self, started: dt.datetime, queue: int, channel: str) -> int:
        identity = self.contact(started)
        self.sql(
            "UPDATE interactions SET queue_id = %s, channel = %s WHERE interaction_id = %s",
            queue,
            channel,
            identity,
        )
        return identity

    def _queue(self) -> tuple[int, str]:
        number = self.random.randrange(len(QUEUES))
        return self.queues[number], QUEUES[number][1]

    def _write(self, into: str, rows: list[tuple[Any, ...]]) -> None:
        with mysql.cursor(self.pipeline.endpoints.mysql[0], self.shard) as cursor:
            cursor.executemany(f"INSERT INTO {into}", rows)
