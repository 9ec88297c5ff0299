"""The sample source: a metadata database and its shards, created and seeded on one MySQL server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from random import Random

from core.clients import mysql
from core.settings import MySqlServer
from schemas.names import mysql_name

SQL = Path(__file__).parent / "sql"
ACCOUNTS_PER_SHARD = 5
AGENTS_PER_ACCOUNT = 12
QUEUES_PER_ACCOUNT = 3
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")
NAMES = ("Ada Lovelace", "José Niño", "Zoë Müller", "李小龍", "Олена Коваль", "O'Brien", "Ngũgĩ", "🦊 Fox")


def accounts_of(shard_index: int) -> range:
    """Returns the ids of a shard's accounts; they are unique over all shards."""
    first = shard_index * ACCOUNTS_PER_SHARD + 1
    return range(first, first + ACCOUNTS_PER_SHARD)


def agents_of(account: int) -> range:
    return range(account * 1000, account * 1000 + AGENTS_PER_ACCOUNT)


def queues_of(account: int) -> range:
    return range(account * 100, account * 100 + QUEUES_PER_ACCOUNT)


def create_source(server: MySqlServer, shards: Sequence[str], metadata: str) -> None:
    """Creates missing databases and tables and seeds the metadata. Idempotent; blocks on MySQL."""
    for database, file in [(metadata, "metadata.sql"), *((shard, "shard.sql") for shard in shards)]:
        with mysql.cursor(server) as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS {mysql_name(database)}")
            cursor.execute(f"USE {mysql_name(database)}")
            for statement in (SQL / file).read_text().split(";\n"):
                if statement.strip():
                    cursor.execute(statement)
    _seed(server, metadata, [account for index in range(len(shards)) for account in accounts_of(index)])


def _seed(server: MySqlServer, metadata: str, accounts: Sequence[int]) -> None:
    random = Random(1)
    created = dt.datetime(2024, 1, 1, 9, 0, tzinfo=dt.UTC)
    with mysql.cursor(server, metadata) as cursor:
        for account in accounts:
            cursor.execute(
                "INSERT IGNORE INTO accounts (account_id, name, time_zone, created_at) VALUES (%s, %s, %s, "
                "%s)",
                (account, f"Account {account}", random.choice(ZONES), created),
            )
            teams = [account * 10, account * 10 + 1]
            cursor.executemany(
                "INSERT IGNORE INTO teams (team_id, account_id, name) VALUES (%s, %s, %s)",
                [(team, account, f"Team {team}") for team in teams],
            )
            cursor.executemany(
                "INSERT IGNORE INTO queues (queue_id, account_id, name, channel) VALUES (%s, %s, %s, %s)",
                [
                    (queue, account, f"Queue {queue}", random.choice(("voice", "chat", "email")))
                    for queue in queues_of(account)
                ],
            )
            cursor.executemany(
                "INSERT IGNORE INTO agents (agent_id, account_id, team_id, display_name, email, phone, "
                "skills, hired_on) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    (
                        agent,
                        account,
                        random.choice(teams),
                        random.choice(NAMES),
                        f"agent{agent}@example.com",
                        f"+49 30 {agent:07}",
                        random.choice(("sales", "support,billing", None)),
                        created.date() - dt.timedelta(days=random.randrange(3000)),
                    )
                    for agent in agents_of(account)
                ],
            )
            cursor.executemany(
                "INSERT IGNORE INTO queue_members (queue_id, agent_id, account_id) VALUES (%s, %s, %s)",
                [
                    (queue, agent, account)
                    for agent in agents_of(account)
                    for queue in random.sample(queues_of(account), 2)
                ],
            )
