"""How fresh each table is: from the source's commit to the row's landing, as the landed rows themselves tell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from core.clients import clickhouse
from core.settings import ClickHouseEndpoint
from schemas.catalog import Catalog
from schemas.render.clickhouse import rows_table


@dataclass(frozen=True)
class Freshness:
    """`landed` records within the window; lags are commit to landed; `age_seconds` since the newest landed commit."""

    table: str
    landed: int
    p50_ms: float | None
    p99_ms: float | None
    age_seconds: float | None


def measure(endpoint: ClickHouseEndpoint, catalog: Catalog, seconds: int) -> Iterator[Freshness]:
    """Snapshot rows have no commit of their own and count with the moment they were read. Blocks on ClickHouse."""
    client = clickhouse.connect(endpoint)
    lags = "quantiles(0.5, 0.99)(dateDiff('millisecond', _committed_at, _landed_at))"
    for table in catalog:
        row = client.query(f"SELECT count(), {lags} FROM {rows_table(table)} WHERE _landed_at > now64(3) - {int(seconds)}").result_rows[0]
        p50, p99 = (None if math.isnan(value) else float(value) for value in row[1])
        newest = client.query(f"SELECT count(), dateDiff('millisecond', max(_committed_at), now64(3)) FROM {rows_table(table)}")
        rows, age = newest.result_rows[0]
        yield Freshness(table.name, int(row[0]), p50, p99, age / 1000 if rows else None)
