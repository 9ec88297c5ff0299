"""What the jobs keep of a contact and of an agent, by canonical savepoints: the entries, without what RocksDB
has yet to merge."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from core.clients import clickhouse, mysql
from core.errors import MisconfiguredError, TransientError
from core.settings import Context
from flink_jobs.jobs import Job
from flink_jobs.rest import Flink
from simulator.source import accounts_of, agents_of, queues_of

SHARD = "acc_1"
TENANT = accounts_of(0)[0]
FIRST = agents_of(TENANT)[-1] + 10_000
"""The first of the agents that are added for a while."""
TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class Sample:
    contacts: int
    agents: int
    bytes_of: dict[str, int]
    """Of each job."""


@dataclass(frozen=True)
class Kept:
    """Bytes: what each contact added that came, with its segments and survey, and each agent, with a queue
    and an activity."""

    job: str
    contacts: int
    agents: int
    state_bytes: int
    per_contact: float
    per_agent: float


def sample(context: Context, jobs: Sequence[Job]) -> Sample:
    """Blocks until each job, which has to run, has written a savepoint to a folder of this machine."""
    assert context.endpoints.flink is not None
    flink, client = Flink(context.endpoints.flink), clickhouse.connect(context.endpoints.clickhouse)
    ((contacts, agents),) = client.query(
        "SELECT (SELECT count() FROM base.interactions), (SELECT count() FROM base.agents)"
    ).result_rows
    return Sample(int(contacts), int(agents), {job.name: _savepoint(flink, job) for job in jobs})


def kept(idle: Sample, busy: Sample, staffed: Sample) -> list[Kept]:
    """From samples before and after contacts came, and after agents came, too."""
    came, hired = busy.contacts - idle.contacts, staffed.agents - busy.agents
    if came <= 0 or hired <= 0:
        raise MisconfiguredError("no contact or no agent came between the samples", "measure for longer")
    return [
        Kept(
            job,
            busy.contacts,
            busy.agents,
            total,
            max(total - idle.bytes_of[job], 0) / came,
            max(staffed.bytes_of[job] - total, 0) / hired,
        )
        for job, total in busy.bytes_of.items()
    ]


@contextmanager
def hired(context: Context, agents: int) -> Iterator[None]:
    """So many agents more at the source, each with a queue and one activity, seen by `agent_status`; they go
    with the block's end."""
    server, metadata = context.endpoints.mysql[0], context.settings.metadata_database
    numbers = range(FIRST, FIRST + agents)
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)

    def write(database: str, statement: str, rows: list[tuple[Any, ...]]) -> None:
        with mysql.cursor(server, database) as cursor:
            cursor.executemany(statement, rows)

    try:
        write(
            metadata,
            "INSERT INTO agents (agent_id, account_id, team_id, display_name) VALUES (%s, %s, %s, %s)",
            [(number, TENANT, TENANT * 10, f"Benchmark {number}") for number in numbers],
        )
        write(
            metadata,
            "INSERT INTO queue_members (queue_id, agent_id, account_id) VALUES (%s, %s, %s)",
            [(queues_of(TENANT)[0], number, TENANT) for number in numbers],
        )
        write(
            SHARD,
            "INSERT INTO agent_activity VALUES (%s, %s, %s, 'available', NULL, %s)",
            [(time.time_ns() // 1000 + number, TENANT, number, now) for number in numbers],
        )
        _seen(context, agents)
        yield
    finally:
        for table in ("queue_members", "agents"):
            write(metadata, f"DELETE FROM {table} WHERE agent_id = %s", [(number,) for number in numbers])


def _seen(context: Context, agents: int) -> None:
    client, deadline = clickhouse.connect(context.endpoints.clickhouse), time.monotonic() + TIMEOUT_SECONDS
    query = f"SELECT count() FROM realtime.agent_status WHERE agent_id >= {FIRST} AND state = 'available'"
    while int(client.query(query).result_rows[0][0]) < agents:
        if time.monotonic() > deadline:
            raise TransientError(
                f"agent_status has not shown {agents} new agents in {TIMEOUT_SECONDS:.0f} s",
                "`switchboard flink status`",
            )
        time.sleep(0.2)


def _savepoint(flink: Flink, job: Job) -> int:
    running = flink.running(job.name)
    if running is None:
        raise MisconfiguredError(f"job {job.name} does not run", "`switchboard flink submit`")
    path = urlsplit(flink.savepoint(running.id, stop=False))
    return sum(file.stat().st_size for file in Path(unquote(path.path)).rglob("*") if file.is_file())
