"""A table on both sides, filled directly: nothing flows, so the barrier has nothing to wait for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from core.settings import Endpoints
from schemas.names import ch_name, ch_string, mysql_name
from schemas.render.clickhouse import (
    STORAGE_DATABASE,
    VIEW_DATABASE,
    create_current_view,
    create_storage_table,
    current_view,
    storage_table,
)
from schemas.table import Table
from verify.bisect import Options
from verify.engine import Engine
from verify.results import TableResult
from verify.sources import ClickHouseReader, MySqlReader, open_clickhouse, open_mysql


class Space(Protocol):
    def name(self, prefix: str) -> str: ...


@dataclass(frozen=True)
class Arrived:
    """A barrier of a pipeline in which nothing flows."""

    def wait(self) -> str:
        return ""


@dataclass(frozen=True)
class Bench:
    """One table on both sides, filled directly."""

    stack: Endpoints
    source: MySqlReader
    target: ClickHouseReader
    shard: str
    table: Table

    def verify(self, options: Options | None = None) -> TableResult:
        engine = Engine(self.stack, (self.source,), self.target, lambda *_: Arrived(), options or Options())
        (result,) = engine.verify([self.table])
        return result

    def mysql(self, text: str) -> None:
        self.source.query(text)

    def clickhouse(self, text: str) -> None:
        self.target.client.command(text)

    @property
    def mysql_table(self) -> str:
        return f"{mysql_name(self.shard)}.{mysql_name(self.table.name)}"

    def land(self, values: dict[str, str], version: int = 2, deleted: int = 0) -> None:
        names = ", ".join(map(ch_name, [*values, "_shard", "_version", "_deleted"]))
        rest = f"{ch_string(self.shard)}, {version}, {deleted}"
        self.clickhouse(
            f"INSERT INTO {storage_table(self.table)} ({names}) SELECT {', '.join(values.values())}, {rest}"
        )


def make(stack: Endpoints, space: Space, table: Table, columns: str) -> Iterator[Bench]:
    shard = "vt_" + space.name("shard")
    with open_mysql(stack.mysql[0]) as source, open_clickhouse(stack.clickhouse) as target:
        bench = Bench(stack, source, target, shard, table)
        bench.mysql(f"CREATE DATABASE {mysql_name(shard)}")
        bench.mysql(f"CREATE TABLE {bench.mysql_table} ({columns})")
        for database in (STORAGE_DATABASE, VIEW_DATABASE):
            bench.clickhouse(f"CREATE DATABASE IF NOT EXISTS {database}")
        bench.clickhouse(create_storage_table(table))
        bench.clickhouse(create_current_view(table))
        try:
            yield bench
        finally:
            bench.mysql(f"DROP DATABASE {mysql_name(shard)}")
            bench.clickhouse(f"DROP VIEW {current_view(table)}")
            bench.clickhouse(f"DROP TABLE {storage_table(table)}")
