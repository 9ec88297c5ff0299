"""The result tables and the agents' activities as ClickHouse holds them, for a streamer that starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clickhouse_connect.driver.client import Client

from core.clients import clickhouse
from core.settings import ClickHouseEndpoint
from schemas.names import ch_name
from schemas.render.clickhouse import storage_table
from schemas.table import Table
from streamer.state import KEPT, Change
from streamer.tenant import ACTIVITIES, MINUTES

WEEK = 604_800
TOLD = "toUnixTimestamp64Milli(_committed_at)"


def changes(endpoint: ClickHouseEndpoint, tables: Sequence[Table]) -> Iterator[Change]:
    """Deletions among them, with their versions: an older record that is read after them brings nothing back.

    Blocks on ClickHouse. Raises TransientError (away) or MisconfiguredError (no such table).
    """
    client = clickhouse.connect(endpoint)
    with clickhouse.answering(endpoint):
        for table in tables:
            yield from _activities(client, table) if table.name == ACTIVITIES else _rows(client, table)


def _rows(client: Client, table: Table) -> Iterator[Change]:
    names, key = (", ".join(map(ch_name, chosen)) for chosen in (table.names, table.key))
    recent = f"minute > now() - {int(KEPT.total_seconds())}" if table.name == MINUTES else "true"
    gone = f"SELECT {key}, max(_version) FROM {storage_table(table)} WHERE _deleted = 1 AND {recent} GROUP BY {key}"
    for *parts, version in client.query(gone).result_rows:
        yield Change(table.name, tuple(parts), None, version, 0)
    standing = f"SELECT {names}, _version, {TOLD} FROM {storage_table(table)} FINAL WHERE {recent}"
    for *values, version, committed in client.query(standing).result_rows:
        row = dict(zip(table.names, values, strict=True))
        yield Change(table.name, tuple(row[name] for name in table.key), row, version, committed)


def _activities(client: Client, table: Table) -> Iterator[Change]:
    """Those of the time that is kept, and of each agent the last before: a state that has lasted for a week counts for nothing."""
    begins = f"now() - {int(KEPT.total_seconds())}"
    columns = f"account_id, agent_id, activity_id, state, occurred_at, {TOLD} AS told, _shard"
    select = f"SELECT {columns} FROM {storage_table(table)} FINAL WHERE occurred_at"
    last = f"{select} BETWEEN {begins} - {WEEK} AND {begins} ORDER BY occurred_at DESC, activity_id DESC LIMIT 1 BY account_id, agent_id"
    kept = f"{select} > {begins} ORDER BY occurred_at, activity_id"
    for query in (last, kept):
        with client.query_row_block_stream(query) as blocks:
            for tenant, agent, identity, state, at, told, shard in (row for block in blocks for row in block):
                row = {"activity_id": identity, "state": state, "occurred_at": at}
                yield Change(table.name, (tenant, agent), row, 0, told, shard)


def zones(endpoint: ClickHouseEndpoint) -> dict[int, str]:
    """Tenant -> the name of its time zone. Empty where no contract `accounts` has been applied. Raises as `changes`."""
    client: Client = clickhouse.connect(endpoint)
    with clickhouse.answering(endpoint):
        if not client.query("EXISTS VIEW base.accounts").result_rows[0][0]:
            return {}
        return {int(tenant): str(name) for tenant, name in client.query("SELECT account_id, time_zone FROM base.accounts").result_rows}
