"""A physical table made anew where ClickHouse cannot alter it: another sorting key, or another type in it.

Landers go on writing all the while. Rows carry their version, so copying one twice, or late, changes nothing; hence any
step may be repeated, and a rebuild that was killed is taken up by the next.
"""

from __future__ import annotations

from clickhouse_connect.driver.client import Client

from schemas.names import ch_name, ch_string, physical_name
from schemas.render import clickhouse as render
from schemas.table import Table

MARGIN_SECONDS = 900
"""Longer than any insert may take: a row that became visible after the copy began was stamped at most so long before."""


def scratch_name(table: Table) -> str:
    return f"{physical_name(table)}__next"


def rebuild(client: Client, table: Table, *, resumed: bool) -> None:
    """Blocks until the table stands as its contract says, with every row. `resumed` if the tables were exchanged before."""
    live, scratch = render.rows_table(table), f"{render.ROWS}.{ch_name(scratch_name(table))}"
    since = "0"
    if not resumed:
        since = str(client.query(f"SELECT toUnixTimestamp(now()) - {MARGIN_SECONDS}").result_rows[0][0])
        client.command(f"DROP TABLE IF EXISTS {scratch} SYNC")
        client.command(render.create_rows_table(table, scratch))
        _copy(client, live, scratch, "0")
        client.command(f"EXCHANGE TABLES {live} AND {scratch}")
    _copy(client, scratch, live, since)
    client.command(f"DROP TABLE {scratch} SYNC")


def _copy(client: Client, source: str, target: str, since: str) -> None:
    """Shard by shard, so that no query runs for long. `since` in seconds since the epoch, by landing time."""
    names = [name for name, *_ in client.query(f"DESCRIBE TABLE {source}").result_rows]
    wanted = {name for name, *_ in client.query(f"DESCRIBE TABLE {target}").result_rows}
    columns = ", ".join(ch_name(name) for name in names if name in wanted)
    chosen = f"_landed_at >= fromUnixTimestamp(toInt64({since}))"
    for (shard,) in client.query(f"SELECT DISTINCT _shard FROM {source} WHERE {chosen} ORDER BY _shard").result_rows:
        where = f"{chosen} AND _shard = {ch_string(shard)}"
        client.command(
            f"INSERT INTO {target} ({columns}) SELECT {columns} FROM {source} WHERE {where} SETTINGS max_partitions_per_insert_block = 0"
        )
