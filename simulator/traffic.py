"""Contact-centre traffic: interactions and agents that change their states, surveys, corrections."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from core.clients import mysql
from core.settings import MySqlServer
from simulator.source import NAMES, accounts_of, agents_of, queues_of

TICK_SECONDS = 0.1
NEXT_STATES = {
    "queued": ("ringing", "ringing", "ringing", "abandoned"),
    "ringing": ("talking", "talking", "queued"),
    "talking": ("wrap",),
    "wrap": ("closed",),
}
ENDED = ("closed", "abandoned")
OPEN_PER_AGENT = 3
ACTIVITIES = ("available", "on contact", "after-contact work", "break", "offline")


class Traffic:
    """Writes `rate` row changes a second over all shards, each with its own thread and connection; `seed`
    makes runs repeatable."""

    def __init__(
        self, server: MySqlServer, shards: Sequence[str], metadata: str, rate: float, seed: int = 1
    ) -> None:
        self._server = server
        self._shards = tuple(shards)
        self._metadata = metadata
        self._rate = rate
        self._seed = seed
        self._changes: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._errors: list[Exception] = []

    def changes(self) -> Counter[str]:
        """Returns the row changes committed so far, by table."""
        with self._lock:
            return Counter(self._changes)

    def run(self, stop: threading.Event) -> None:
        """Blocks until `stop` is set; raises the first error of a shard's thread."""
        threads = [
            threading.Thread(target=self._guarded, args=(index, shard, stop), name=f"traffic-{shard}")
            for index, shard in enumerate(self._shards)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _guarded(self, index: int, shard: str, stop: threading.Event) -> None:
        try:
            self._run_shard(index, shard, stop)
        except Exception as error:
            self._errors.append(error)
            stop.set()

    def _run_shard(self, index: int, shard: str, stop: threading.Event) -> None:
        connection = mysql.connect(self._server, shard, autocommit=False)
        world = ShardTraffic(index, Random(self._seed * 1000 + index), self._metadata)
        with connection.cursor() as cursor:
            close_leftovers(cursor)
        connection.commit()
        owed, last = 0.0, time.monotonic()
        try:
            while not stop.wait(TICK_SECONDS):
                now = time.monotonic()
                owed = min(owed + (now - last) * self._rate / len(self._shards), self._rate)
                last = now
                changed: Counter[str] = Counter()
                with connection.cursor() as cursor:
                    while owed >= 1:
                        done = world.transaction(cursor, int(min(owed, 100)))
                        owed -= sum(done.values())
                        changed += done
                        connection.commit()
                with self._lock:
                    self._changes += changed
        finally:
            connection.close()


def close_leftovers(cursor: Any) -> None:
    """Closes interactions that an earlier run left open."""
    cursor.execute(
        "UPDATE interactions SET state = 'closed', ended_at = NOW(3) WHERE state NOT IN ('closed', "
        "'abandoned')"
    )


class ShardTraffic:
    """The traffic of one shard. Ids start at the clock's time, so that runs never share one."""

    def __init__(self, index: int, random: Random, metadata: str) -> None:
        self._index = index
        self._random = random
        self._metadata = metadata
        self._next_id = time.time_ns() // 1000
        self._open: dict[int, tuple[int, str, int | None]] = {}
        """Interaction -> (account, state, agent once it rings)."""
        self._agents = [(account, agent) for account in accounts_of(index) for agent in agents_of(account)]
        self._closed: list[int] = []

    def transaction(self, cursor: Any, budget: int) -> Counter[str]:
        """Makes up to `budget` row changes (at least one) in a few statements; returns their number by
        table."""
        changed: Counter[str] = Counter()
        self._start(cursor, max(1, budget // 3), changed)
        self._advance(cursor, budget // 3, changed)
        if budget > 3:
            self._activities(cursor, budget // 6, changed)
            self._surveys(cursor, budget // 12, changed)
        if self._random.random() < 0.1:
            self._delete(cursor, changed)
        if self._random.random() < 0.005:
            self._move(cursor, changed)
        return changed

    def _id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _start(self, cursor: Any, count: int, changed: Counter[str]) -> None:
        rows = []
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        for _ in range(min(count, OPEN_PER_AGENT * len(self._agents) - len(self._open))):
            account = self._random.choice(accounts_of(self._index))
            identity = self._id()
            self._open[identity] = (account, "queued", None)
            rows.append(
                (
                    identity,
                    account,
                    self._random.choice(("voice", "chat", "email")),
                    "queued",
                    self._random.choice(queues_of(account)),
                    self._random.choice(NAMES),
                    f"+1 555 {self._random.randrange(10_000_000):07}",
                    now,
                    json.dumps({"vip": self._random.random() < 0.1, "topics": ["billing", "été"]}),
                )
            )
        if not rows:
            return
        cursor.executemany(
            "INSERT INTO interactions (interaction_id, account_id, channel, state, queue_id, customer_name, "
            "customer_phone, started_at, tags) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            rows,
        )
        changed["interactions"] += len(rows)

    def _advance(self, cursor: Any, count: int, changed: Counter[str]) -> None:
        for identity in self._random.sample(list(self._open), min(count // 2 + 1, len(self._open))):
            account, state, known = self._open[identity]
            following = self._random.choice(NEXT_STATES[state])
            agent = known or self._random.choice(agents_of(account))
            cursor.execute(
                "UPDATE interactions SET state = %s, agent_id = %s, cost = cost + %s, notes = %s, "
                "is_abandoned = %s, "
                "answered_at = IF(%s = 'talking', NOW(3), answered_at), ended_at = IF(%s, NOW(3), NULL) "
                "WHERE interaction_id = %s",
                (
                    following,
                    agent,
                    round(self._random.random(), 4),
                    self._random.choice((None, "", "said thanks 🙂", "wants a refund")),
                    following == "abandoned",
                    following,
                    following in ENDED,
                    identity,
                ),
            )
            changed["interactions"] += 1
            if following == "wrap":
                self._segments(cursor, identity, account, agent, changed)
            if following in ENDED:
                del self._open[identity]
                self._closed = [*self._closed[-500:], identity]
            else:
                self._open[identity] = (account, following, None if following == "queued" else agent)

    def _segments(self, cursor: Any, identity: int, account: int, agent: int, changed: Counter[str]) -> None:
        kinds = ("wait", "talk", "wrap")
        cursor.executemany(
            "INSERT INTO interaction_segments VALUES (%s, %s, %s, %s, %s, NOW(3), %s)",
            [
                (identity, number, account, kind, agent, self._random.randrange(600_000))
                for number, kind in enumerate(kinds)
            ],
        )
        changed["interaction_segments"] += len(kinds)

    def _activities(self, cursor: Any, count: int, changed: Counter[str]) -> None:
        chosen = self._random.sample(self._agents, min(max(1, count), len(self._agents)))
        rows = [
            (self._id(), account, agent, self._random.choice(ACTIVITIES), None) for account, agent in chosen
        ]
        cursor.executemany("INSERT INTO agent_activity VALUES (%s, %s, %s, %s, %s, NOW(6))", rows)
        changed["agent_activity"] += len(rows)

    def _surveys(self, cursor: Any, count: int, changed: Counter[str]) -> None:
        chosen = self._random.sample(self._closed, min(count, len(self._closed)))
        account = accounts_of(self._index)[0]
        cursor.executemany(
            "INSERT INTO surveys VALUES (%s, %s, %s, %s, %s, %s, NOW())",
            [
                (self._id(), i, account, self._random.randint(-1, 10), self._random.uniform(-1, 1), "ok 👍")
                for i in chosen
            ],
        )
        changed["surveys"] += len(chosen)

    def _delete(self, cursor: Any, changed: Counter[str]) -> None:
        if self._closed:
            cursor.execute("DELETE FROM interactions WHERE interaction_id = %s", (self._closed.pop(0),))
            changed["interactions"] += int(cursor.rowcount)

    def _move(self, cursor: Any, changed: Counter[str]) -> None:
        """Moves an agent to another team: rarely, as every version of an agent is kept."""
        account = self._random.choice(accounts_of(self._index))
        cursor.execute(
            f"UPDATE `{self._metadata}`.agents SET team_id = %s WHERE agent_id = %s",
            (account * 10 + self._random.randrange(2), self._random.choice(agents_of(account))),
        )
        changed["agents"] += int(cursor.rowcount)
