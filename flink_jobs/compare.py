"""Two generations of a result, side by side, a day at a time: computed in ClickHouse."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from flink_jobs.jobs import time_column
from schemas.names import ch_name
from schemas.render.clickhouse import storage_table
from schemas.table import Table

ALL = dt.date(1970, 1, 1)
"""The day of a result whose rows belong to none."""


@dataclass(frozen=True)
class Day:
    day: dt.date
    rows: int
    other_rows: int
    equal: bool
    """Of the checksums over all columns."""

    @property
    def same(self) -> bool:
        return self.equal and self.rows == self.other_rows


def days(client: Client, one: Table, other: Table, begins: dt.datetime | None, rest_seconds: float) -> list[Day]:
    """Blocks on ClickHouse. A key that changed in either within the last `rest_seconds` is left out of both: it may be on its way."""
    answer = client.query(query(one, other, begins, rest_seconds))
    return [Day(day, int(rows), int(others), bool(equal)) for day, rows, others, equal in answer.result_rows]


def query(one: Table, other: Table, begins: dt.datetime | None, rest_seconds: float) -> str:
    keys = ", ".join(map(ch_name, one.key))
    changed = f"_committed_at >= now64(3) - toIntervalMillisecond({int(rest_seconds * 1000)})"
    moving = " UNION ALL ".join(f"SELECT {keys} FROM {storage_table(table)} WHERE {changed}" for table in (one, other))
    at_rest = f"({keys}) NOT IN ({moving})"
    sides = "\nUNION ALL\n".join(_side(table, number, begins, at_rest) for number, table in enumerate((one, other), 1))
    return (
        "SELECT day, countIf(side = 1), countIf(side = 2), sumIf(checksum, side = 1) = sumIf(checksum, side = 2)\n"
        f"FROM (\n{sides}\n)\nGROUP BY day ORDER BY day"
    )


def _side(table: Table, number: int, begins: dt.datetime | None, condition: str) -> str:
    column = time_column(table)
    day = f"toDate('{ALL}')"
    if column is not None:
        day = f"toDate({ch_name(column)})"
        condition += f" AND {ch_name(column)} >= toDateTime('{begins:%Y-%m-%d %H:%M:%S}', 'UTC')" if begins is not None else ""
    values = ", ".join(map(ch_name, table.names))
    return (
        f"SELECT {number} AS side, {day} AS day, sipHash64(toString(tuple({values}))) AS checksum\n"
        f"FROM {storage_table(table)} FINAL WHERE {condition}"
    )
