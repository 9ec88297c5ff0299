"""An application that writes at random into any database: it knows of a table what information_schema
says."""

from __future__ import annotations

import datetime as dt
import decimal
import itertools
import json
import random
import re
import string
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql

from core.clients import mysql
from core.settings import MySqlServer
from tests.pipeline import eventually

EXPECTED = {
    1062: "duplicate key",
    1205: "lock wait",
    1213: "deadlock",
    1054: "a column was just dropped",
    1412: "a table was just altered",
}
LETTERS = string.ascii_letters + string.digits + " '\"\\`;%_-,äßŁ漢😀\t\n"
COLUMNS = """
SELECT column_name, data_type, column_type, is_nullable = 'YES', numeric_precision, numeric_scale,
    character_maximum_length, character_set_name
FROM information_schema.columns
WHERE table_schema = %s AND table_name = %s AND generation_expression = '' AND extra NOT LIKE '%%auto_inc%%'
"""
REFRESH_TRANSACTIONS = 20
"""Between two queries of information_schema, which cost MySQL more than the transactions."""
TABLES = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'BASE TABLE'"
)


class Application:
    """Threads that insert, update (keys too) and delete in transactions, some of which are rolled back."""

    def __init__(
        self, server: MySqlServer, database: str, quiet: tuple[str, ...] = (), seed: int = 1
    ) -> None:
        """Tables named in `quiet` are left alone."""
        self._server = server
        self._database = database
        self._quiet = quiet
        self._seed = seed
        self._stop = threading.Event()
        self.done: Counter[str] = Counter()
        self.failures: list[BaseException] = []

    @contextmanager
    def running(self, threads: int = 3) -> Iterator[None]:
        """Raises what a thread failed with, once all have ended."""
        self._stop.clear()
        workers = [
            threading.Thread(target=self._work, args=(self._seed + number,)) for number in range(threads)
        ]
        self._seed += threads
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            self._stop.set()
            for worker in workers:
                worker.join()
        if self.failures:
            raise self.failures[0]

    def changes(self, more: int) -> None:
        """Waits until so many more rows are changed."""
        wanted = sum(self.done.values()) + more
        eventually(lambda: self.failures or sum(self.done.values()) > wanted)

    def _work(self, seed: int) -> None:
        chance = random.Random(seed)
        connection = mysql.connect(self._server, self._database, autocommit=False)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET innodb_lock_wait_timeout = 2, lock_wait_timeout = 20")
                for number in itertools.count():
                    if self._stop.wait(0.01):
                        break
                    if number % REFRESH_TRANSACTIONS == 0:
                        tables = self._columns_by_table(cursor)
                    self._transaction(connection, cursor, chance, tables)
        except BaseException as error:
            self.failures.append(error)
        finally:
            connection.close()

    def _columns_by_table(self, cursor: Any) -> dict[str, Any]:
        cursor.execute(TABLES, (self._database,))
        tables = {name: () for (name,) in cursor.fetchall() if name not in self._quiet}
        for name in tables:
            cursor.execute(COLUMNS, (self._database, name))
            tables[name] = cursor.fetchall()
        return tables

    def _transaction(
        self, connection: Any, cursor: Any, chance: random.Random, tables: dict[str, Any]
    ) -> None:
        try:
            for _ in range(chance.randint(1, 4)):
                self._statement(cursor, chance, tables)
        except pymysql.MySQLError as error:
            if error.args[0] not in EXPECTED:
                raise
            connection.rollback()
            return
        if chance.random() < 0.1:
            connection.rollback()
        else:
            connection.commit()

    def _statement(self, cursor: Any, chance: random.Random, tables: dict[str, Any]) -> None:
        table = chance.choice(list(tables))
        columns = tables[table]
        kind = chance.choices(("insert", "update", "delete"), (5, 4, 1))[0]
        if kind == "insert":
            names = ", ".join(quoted(column[0]) for column in columns)
            values = ", ".join(placeholder(column[1]) for column in columns)
            cursor.execute(
                f"INSERT INTO {quoted(table)} ({names}) VALUES ({values})",
                [value(chance, *column[1:]) for column in columns],
            )
        elif kind == "update":
            some = chance.sample(columns, min(len(columns), 2))
            changes = ", ".join(f"{quoted(column[0])} = {placeholder(column[1])}" for column in some)
            new = [value(chance, *column[1:]) for column in some]
            cursor.execute(f"UPDATE {quoted(table)} SET {changes} ORDER BY RAND() LIMIT 1", new)
        else:
            cursor.execute(f"DELETE FROM {quoted(table)} ORDER BY RAND() LIMIT 1")
        self.done[kind] += cursor.rowcount


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"


def placeholder(kind: str) -> str:
    return (
        "ST_GeomFromText(%s)"
        if kind in ("point", "geometry")
        else "STRING_TO_VECTOR(%s)"
        if kind == "vector"
        else "%s"
    )


def value(
    chance: random.Random,
    kind: str,
    declared: str,
    nullable: int,
    precision: int,
    scale: int,
    length: int,
    charset: str | None,
) -> Any:
    """A value that fits the column; NULL now and then where it may be."""
    if nullable and chance.random() < 0.2:
        return None
    match kind.lower():
        case "tinyint" | "smallint" | "mediumint" | "int" | "bigint":
            return whole(
                chance,
                {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}[kind],
                "unsigned" in declared,
            )
        case "decimal":
            return decimal.Decimal(chance.randrange(-(10**precision) + 1, 10**precision)).scaleb(
                -scale, decimal.Context(prec=65)
            )
        case "float" | "double":
            return chance.choice(
                (0.0, 1 / 3, -1e-30, chance.uniform(-1e6, 1e6), float(chance.randrange(1000)))
            )
        case "date":
            return dt.date(1000, 1, 1) + dt.timedelta(days=chance.randrange(3_000_000))
        case "datetime":
            return dt.datetime(1001, 1, 1) + dt.timedelta(
                seconds=chance.randrange(10**11), microseconds=chance.randrange(10**6)
            )
        case "timestamp":
            return dt.datetime(1970, 1, 2) + dt.timedelta(
                seconds=chance.randrange(2**31 - 200_000), microseconds=chance.randrange(10**6)
            )
        case "time":
            minutes, seconds = chance.randrange(60), chance.randrange(59)
            sign, fraction = chance.choice(("", "-")), chance.randrange(10**6)
            return f"{sign}{chance.randrange(838)}:{minutes:02}:{seconds:02}.{fraction:06}"
        case "year":
            return chance.randint(1901, 2155)
        case "enum":
            return chance.choice(members(declared))
        case "set":
            return ",".join(member for member in members(declared) if chance.random() < 0.5)
        case "json":
            return json.dumps(
                {text(chance, 8): [chance.random(), None, chance.randrange(10**9)], "ключ": text(chance, 5)}
            )
        case "bit":
            return chance.randrange(2**precision)
        case "binary" | "varbinary" | "blob":
            return chance.randbytes(min(length, chance.randint(1, 40)))
        case "point" | "geometry":
            return f"POINT({chance.randrange(90)} {chance.randrange(90)})"
        case "vector":
            return str([chance.randrange(9)] * int(re.findall(r"\d+", declared)[0]))
        case _:
            written = text(chance, min(length, 40))
            return written if charset == "utf8mb4" else written.encode("latin1", "ignore").decode("latin1")


def whole(chance: random.Random, bits: int, unsigned: bool) -> int:
    """Small numbers often, so that keys meet; the bounds now and then."""
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return (
        chance.choice((low, high, chance.randint(low, high)))
        if chance.random() < 0.3
        else chance.randrange(100)
    )


def text(chance: random.Random, length: int) -> str:
    return "".join(chance.choices(LETTERS, k=chance.randint(0, length)))


def members(declared: str) -> list[str]:
    """Of the type as information_schema spells it: ``enum('a','b')``."""
    return [member.replace("''", "'") for member in re.findall(r"'((?:[^']|'')*)'", declared)]
