"""Reads the result tables and the agents' activities from ClickHouse when a streamer starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clickhouse_connect.driver.client import Client

from core.clients import clickhouse
from core.settings import ClickHouseEndpoint
from schemas.names import ch_name
from schemas.render.clickhouse import storage_table
from schemas.table import Table
from streamer.sample.state import RETENTION, Change
from streamer.sample.tenant import ACTIVITIES, MINUTES

WEEK = 604_800
COMMITTED_MS = "toUnixTimestamp64Milli(_committed_at)"


def changes(endpoint: ClickHouseEndpoint, tables: Sequence[Table]) -> Iterator[Change]:
    """Yields rows and deletions with their versions, so that an older record that is read later restores
    nothing.

    Blocks for ClickHouse. Raises TransientError (unavailable) or MisconfiguredError (no such table).
    """
    client = clickhouse.connect(endpoint)
    with clickhouse.answering(endpoint):
        for table in tables:
            yield from _activities(client, table) if table.name == ACTIVITIES else _rows(client, table)


def _rows(client: Client, table: Table) -> Iterator[Change]:
    names, key = (", ".join(map(ch_name, chosen)) for chosen in (table.names, table.key))
    recent = f"minute > now() - {int(RETENTION.total_seconds())}" if table.name == MINUTES else "true"
    gone = (
        f"SELECT {key}, max(_version) FROM {storage_table(table)} WHERE _deleted = 1 AND {recent} GROUP BY "
        f"{key}"
    )
    for *parts, version in client.query(gone).result_rows:
        yield Change(table.name, tuple(parts), None, version, 0)
    current = f"SELECT {names}, _version, {COMMITTED_MS} FROM {storage_table(table)} FINAL WHERE {recent}"
    for *values, version, committed in client.query(current).result_rows:
        row = dict(zip(table.names, values, strict=True))
        yield Change(table.name, tuple(row[name] for name in table.key), row, version, committed)


def _activities(client: Client, table: Table) -> Iterator[Change]:
    """Yields activities within `RETENTION`, and each agent's last one before, unless it is older by a
    week."""
    begins = f"now() - {int(RETENTION.total_seconds())}"
    columns = f"account_id, agent_id, activity_id, state, occurred_at, {COMMITTED_MS} AS committed_ms, _shard"
    select = f"SELECT {columns} FROM {storage_table(table)} FINAL WHERE occurred_at"
    last = (
        f"{select} BETWEEN {begins} - {WEEK} AND {begins} ORDER BY occurred_at DESC, activity_id DESC LIMIT "
        "1 BY account_id, agent_id"
    )
    kept = f"{select} > {begins} ORDER BY occurred_at, activity_id"
    for query in (last, kept):
        with client.query_row_block_stream(query) as blocks:
            for tenant, agent, identity, state, at, committed_ms, shard in (
                row for block in blocks for row in block
            ):
                row = {"activity_id": identity, "state": state, "occurred_at": at}
                yield Change(table.name, (tenant, agent), row, 0, committed_ms, shard)


def time_zones(endpoint: ClickHouseEndpoint) -> dict[int, str]:
    """Returns tenant -> time zone name; empty if no contract `accounts` is applied. Raises as `changes`."""
    client: Client = clickhouse.connect(endpoint)
    with clickhouse.answering(endpoint):
        if not client.query("EXISTS VIEW base.accounts").result_rows[0][0]:
            return {}
        return {
            int(tenant): str(name)
            for tenant, name in client.query("SELECT account_id, time_zone FROM base.accounts").result_rows
        }
