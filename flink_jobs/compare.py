"""Comparison of two generations of a result, day by day, computed in ClickHouse."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from flink_jobs.jobs import time_column
from schemas.names import ch_name
from schemas.render.clickhouse import storage_table
from schemas.table import Table

ALL = dt.date(1970, 1, 1)
"""The day of all rows of a result without a time column."""


@dataclass(frozen=True)
class Day:
    day: dt.date
    rows: int
    other_rows: int
    equal: bool
    """Whether the checksums over all columns are equal."""

    @property
    def same(self) -> bool:
        return self.equal and self.rows == self.other_rows


def days(
    client: Client, one: Table, other: Table, start_time: dt.datetime | None, rest_seconds: float
) -> list[Day]:
    """Compares day by day. Blocks on ClickHouse.

    Keys that changed in either within the last `rest_seconds` are ignored.
    """
    answer = client.query(query(one, other, start_time, rest_seconds))
    return [Day(day, int(rows), int(others), bool(equal)) for day, rows, others, equal in answer.result_rows]


def query(one: Table, other: Table, start_time: dt.datetime | None, rest_seconds: float) -> str:
    keys = ", ".join(map(ch_name, one.key))
    changed = f"_committed_at >= now64(3) - toIntervalMillisecond({int(rest_seconds * 1000)})"
    changing = " UNION ALL ".join(
        f"SELECT {keys} FROM {storage_table(table)} WHERE {changed}" for table in (one, other)
    )
    at_rest = f"({keys}) NOT IN ({changing})"
    sides = "\nUNION ALL\n".join(
        _side(table, number, start_time, at_rest) for number, table in enumerate((one, other), 1)
    )
    return (
        "SELECT day, countIf(side = 1), countIf(side = 2), sumIf(checksum, side = 1) = sumIf(checksum, side "
        "= 2)\n"
        f"FROM (\n{sides}\n)\nGROUP BY day ORDER BY day"
    )


def _side(table: Table, number: int, start_time: dt.datetime | None, condition: str) -> str:
    column = time_column(table)
    day = f"toDate('{ALL}')"
    if column is not None:
        day = f"toDate({ch_name(column)})"
        condition += (
            f" AND {ch_name(column)} >= toDateTime('{start_time:%Y-%m-%d %H:%M:%S}', 'UTC')"
            if start_time is not None
            else ""
        )
    values = ", ".join(map(ch_name, table.names))
    return (
        f"SELECT {number} AS side, {day} AS day, sipHash64(toString(tuple({values}))) AS checksum\n"
        f"FROM {storage_table(table)} FINAL WHERE {condition}"
    )
