"""A table whose source and contract change while rows flow."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from core.clients import mysql
from core.control.table_health import TableCondition, conditions
from schemas.catalog import load
from tests.pipeline import CONTRACTS, Pipeline, eventually

SHARD = "flt_1"
ID = 'immutable(1, "id", t.Int(32), p.PUBLIC)'
M = 'optional(2, "m", t.Int(32), p.PUBLIC)'
N = 'optional(3, "n", t.Int(32), p.PUBLIC)'
DDL = "CREATE TABLE `{}` (id INT PRIMARY KEY, m INT, n INT)"
FILE = """
from schemas import privacy as p
from schemas import types as t
from schemas.table import Latest, Shards, Table, immutable, optional, required

"""
TABLE = '{0} = Table(name="{0}", source=Shards("flt_*"), key=("id",), history=Latest(), columns=({1},))\n'


class Changing:
    """The source's tables and their contracts; `pipeline` knows the contracts as they stand."""

    def __init__(self, pipeline: Pipeline, folder: Path, tables: tuple[str, ...]) -> None:
        shutil.copytree(CONTRACTS, folder, dirs_exist_ok=True)
        self.pipeline = pipeline
        self._folder = folder
        self._columns: dict[str, tuple[str, ...]] = dict.fromkeys(tables, (ID, M, N))
        self._fresh: dict[str, tuple[str, int]] = {}
        self._write()
        pipeline.sql(f"CREATE DATABASE IF NOT EXISTS {SHARD}")
        others = [str(name) for (name,) in pipeline.sql("SHOW TABLES", database=SHARD)]
        for table in tables:
            self._create(table)
        # another module's tables are no longer captured
        self.pipeline.apply(*(f"connect:main/{name}" for name in others))

    def _create(self, table: str) -> None:
        self.sql(DDL.format(table))
        self.sql(f"INSERT INTO {table} VALUES (1, 1, 1), (2, 2, 2), (3, NULL, NULL)")

    def fresh(self, table: str) -> str:
        """`table` to whoever asks for it first; a new table in its place to whoever asks again, as a test
        does that is run again."""
        replaced, number = self._fresh.get(table, (None, 0))
        name = f"{table}_{number}" if replaced else table
        self._fresh[table] = (name, number + 1)
        if replaced:
            del self._columns[replaced]
            self._columns[name] = (ID, M, N)
            self._write()
            self._create(name)
            self.pipeline.apply(f"connect:main/{replaced}")
        return name

    def declare(self, table: str, *columns: str) -> None:
        """Writes the table's contract anew; the next lander and the next apply know it."""
        self._columns[table] = columns
        self._write()

    def _write(self) -> None:
        text = FILE + "".join(
            TABLE.format(name, ", ".join(columns)) for name, columns in self._columns.items()
        )
        (self._folder / "changing.py").write_text(text)
        self.pipeline = replace(self.pipeline, catalog=load(str(self._folder)), contracts=self._folder)

    def sql(self, statement: str) -> None:
        self.pipeline.sql(statement, database=SHARD)

    def states(self, table: str) -> list[TableCondition]:
        return [state for state in conditions(self.pipeline.control) if state.table == table]

    def has_landed(self, table: str, condition: str = "1") -> None:
        eventually(lambda: self.pipeline.landed(f"SELECT count() FROM base.{table} WHERE {condition}")[0][0])

    def has_column(self, table: str, name: str) -> None:
        query = (
            f"SELECT count() FROM system.columns WHERE database = 'base' AND table = '{table}' AND name = "
            f"'{name}'"
        )
        eventually(lambda: self.pipeline.landed(query)[0][0])

    def equal(self, table: str) -> bool:
        """Once snapshots that were asked for are read, and everything has landed."""
        return self.pipeline.equal(table)

    @contextmanager
    def writing(self, table: str, first: int = 100) -> Iterator[None]:
        """An application that inserts, updates and deletes all the while, by statements that name only `id`
        and `m`.

        The rows that it inserts have an `id` after `first`, and after those that are there.
        """
        stop = threading.Event()
        largest = self.pipeline.sql(f"SELECT COALESCE(MAX(id), 0) FROM {table}", database=SHARD)[0][0]

        def write() -> None:
            number = max(first, largest)
            with mysql.cursor(self.pipeline.endpoints.mysql[0], SHARD) as cursor:
                while not stop.wait(0.02):
                    number += 1
                    cursor.execute(f"INSERT INTO {table} (id, m) VALUES ({number}, 1)")
                    cursor.execute(f"UPDATE {table} SET m = m + 1 WHERE id = {number - 3}")
                    cursor.execute(f"DELETE FROM {table} WHERE id = {number - 5} AND id % 2")

        thread = threading.Thread(target=write)
        thread.start()
        try:
            eventually(lambda: self.pipeline.sql(f"SELECT COUNT(*) > 10 FROM {table}", database=SHARD)[0][0])
            yield
            rows = self.pipeline.sql(f"SELECT COUNT(*) FROM {table}", database=SHARD)[0][0]
            eventually(
                lambda: self.pipeline.sql(f"SELECT COUNT(*) FROM {table}", database=SHARD)[0][0] > rows + 10
            )
        finally:
            stop.set()
            thread.join()
