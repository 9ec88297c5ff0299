"""Rebuild of a physical table that ClickHouse cannot alter: another sorting key, or another type in it.

Landers continue to write meanwhile. Rows carry their version, so copying one twice, or late, changes nothing;
hence every step is idempotent, and the next rebuild finishes one that was killed.
"""

from __future__ import annotations

from collections.abc import Mapping

from clickhouse_connect.driver.client import Client

from core.errors import TransientError
from core.waiting import wait_until
from schemas.names import ch_name, ch_string, physical_name
from schemas.render import clickhouse as render
from schemas.table import Table

MARGIN_SECONDS = 900
"""Longer than any insert takes: a row that became visible after the copy started was stamped at most this
long before."""

INSERTS = "FROM system.processes WHERE query_kind IN ('Insert', 'AsyncInsertFlush')"


def scratch_name(table: Table) -> str:
    return f"{physical_name(table)}__next"


def copy_and_swap(client: Client, table: Table, renamed: Mapping[str, str], *, resumed: bool) -> None:
    """Blocks until the table matches its contract, with every row. `resumed` if the tables were exchanged
    before.

    `renamed` maps old names of columns to new ones. Columns that the contract does not describe are kept.
    """
    live, scratch = render.storage_table(table), f"{render.STORAGE_DATABASE}.{ch_name(scratch_name(table))}"
    since = "0"
    if not resumed:
        since = str(client.query(f"SELECT toUnixTimestamp(now()) - {MARGIN_SECONDS}").result_rows[0][0])
        client.command(f"DROP TABLE IF EXISTS {scratch} SYNC")
        client.command(render.create_storage_table(table, scratch))
        for name, kind in _undescribed_columns(client, table, live, renamed):
            client.command(f"ALTER TABLE {scratch} ADD COLUMN {ch_name(name)} {kind}")
        _copy(client, live, scratch, renamed, "0")
        client.command(f"EXCHANGE TABLES {live} AND {scratch}")
    _await_inserts(client)
    _copy(client, scratch, live, renamed, since)
    client.command(f"DROP TABLE {scratch} SYNC")


def _undescribed_columns(
    client: Client, table: Table, live: str, renamed: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Returns (name, type) of the columns that only the live table has."""
    known = {*(name for name, _ in render.all_columns(table)), *renamed}
    return [(name, kind) for name, kind in _columns(client, live) if name not in known]


def _columns(client: Client, table_name: str) -> list[tuple[str, str]]:
    return [(name, kind) for name, kind, *_ in client.query(f"DESCRIBE TABLE {table_name}").result_rows]


def _await_inserts(client: Client) -> None:
    """Blocks until all running inserts have ended: one that started before the exchange still writes to the
    old table."""
    running = _inserts(client)

    def have_ended() -> bool:
        running.intersection_update(_inserts(client))
        return not running

    if not wait_until(have_ended, MARGIN_SECONDS):
        raise TransientError(
            f"inserts have run for {MARGIN_SECONDS} s: {', '.join(sorted(running)[:3])}",
            "apply again once they have ended",
        )


def _inserts(client: Client) -> set[str]:
    """The ids of the inserts that run now."""
    return {identity for (identity,) in client.query(f"SELECT query_id {INSERTS}").result_rows}


def _copy(client: Client, source: str, target: str, renamed: Mapping[str, str], since: str) -> None:
    """Copies rows landed since `since`, in seconds since the epoch, shard by shard so that no query runs for
    long."""
    wanted = {name for name, _ in _columns(client, target)}
    pairs = {
        renamed.get(name, name): ch_name(name)
        for name, _ in _columns(client, source)
        if renamed.get(name, name) in wanted
    }
    into, read = ", ".join(map(ch_name, pairs)), ", ".join(pairs.values())
    chosen = f"_landed_at >= fromUnixTimestamp(toInt64({since}))"
    for (shard,) in client.query(
        f"SELECT DISTINCT _shard FROM {source} WHERE {chosen} ORDER BY _shard"
    ).result_rows:
        where = f"{chosen} AND _shard = {ch_string(shard)}"
        client.command(
            f"INSERT INTO {target} ({into}) SELECT {read} FROM {source} WHERE {where} SETTINGS "
            "max_partitions_per_insert_block = 0"
        )
