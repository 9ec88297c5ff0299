"""The result tables as ClickHouse holds them, for a streamer that starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clickhouse_connect.driver.client import Client

from core.clients import clickhouse
from core.settings import ClickHouseEndpoint
from schemas.names import ch_name
from schemas.render.clickhouse import rows_table
from schemas.table import Table
from streamer.state import KEPT, MINUTES, Change

TOLD = "toUnixTimestamp64Milli(_committed_at)"


def changes(endpoint: ClickHouseEndpoint, tables: Sequence[Table]) -> Iterator[Change]:
    """Blocks on ClickHouse."""
    client = clickhouse.connect(endpoint)
    for table in tables:
        names = ", ".join(map(ch_name, table.names))
        recent = f" WHERE minute > now() - {int(KEPT.total_seconds())}" if table.name == MINUTES else ""
        answer = client.query(f"SELECT {names}, _version, {TOLD} FROM {rows_table(table)} FINAL{recent}")
        for *values, version, committed in answer.result_rows:
            row = dict(zip(table.names, values, strict=True))
            yield Change(table.name, tuple(row[name] for name in table.key), row, version, committed)


def zones(endpoint: ClickHouseEndpoint) -> dict[int, str]:
    """Tenant -> the name of its time zone. Empty where no contract `accounts` has been applied."""
    client: Client = clickhouse.connect(endpoint)
    if not client.query("EXISTS VIEW base.accounts").result_rows[0][0]:
        return {}
    return {int(tenant): str(name) for tenant, name in client.query("SELECT account_id, time_zone FROM base.accounts").result_rows}
