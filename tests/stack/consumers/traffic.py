"""Random statements on the tables of tests/contracts/traffic.py, and a comparison of their copies that shares
nothing with `verify`."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import Counter
from collections.abc import Callable, Hashable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pymysql
from pymysql.cursors import Cursor

from core.clients import mysql
from schemas import types as t
from schemas.table import Column, Table
from tests.contracts.traffic import KEYS, TABLES, VALUES
from tests.pipeline import Pipeline

DDL_SHARE = 0.004
MARKED = "traffic_decimal"
"""The table of statements that change rows without events."""
IDS = 40
"""Few, so that statements meet the same rows."""
TEXTS = ("", "a", "A", "é", "ß", "їжак", "😀", "it's", "x,y", "\\", "%", "\n", "0", "null", "z" * 40)
DATES = ("0000-00-00", "2024-00-00", "0001-01-01", "1970-01-01", "2024-02-29", "9999-12-31")
TIMES = ("00:00:00", "23:59:59.999999", "10:11:12.5")
DOCUMENTS = (
    "NULL",
    "'null'",
    "'[1, 2.50, \"a, b: c\", null, true]'",
    "JSON_OBJECT('t', CAST('-10:11:12.5' AS TIME(6)), 'd', CAST('2024-01-01 00:00:00' AS DATETIME))",
    "JSON_OBJECT('é', 1e20, 'n', 18446744073709551615, 'b', CAST(x'00ff' AS BINARY))",
)


class Traffic:
    """Statements by a seed, on the tables of one database. One transaction at a time, some rolled back."""

    def __init__(self, cursor: Cursor, seed: int) -> None:
        self._cursor = cursor
        self._random = random.Random(seed)
        self._added = 0
        self.statements = 0
        cursor.execute("SET sql_mode = '', time_zone = '+00:00'")
        for kind in TABLES:
            cursor.execute(create_table(kind))
        columns = "b INT NOT NULL, a INT NOT NULL, v INT, UNIQUE zz (b), UNIQUE aa (a)"
        cursor.execute(f"CREATE TABLE traffic_unique ({columns})")

    def step(self) -> None:
        """One transaction."""
        if self._random.random() < DDL_SHARE:
            self._ddl()
            return
        self._run("BEGIN")
        for _ in range(self._random.choice((1, 1, 2, 5))):
            self._change()
        self._run(self._random.choice(("COMMIT", "COMMIT", "COMMIT", "ROLLBACK")))

    def _change(self) -> None:
        if self._random.random() < 0.1:
            self._run(self._unique_change())
            return
        kind = self._random.choice(list(TABLES))
        name, where = f"traffic_{kind}", f"id = {self._random.randrange(IDS)}"
        choices: tuple[Callable[[], str], ...] = (
            lambda: f"REPLACE INTO {name} ({self._names}) VALUES ({self._row(kind)})",
            lambda: (
                f"INSERT IGNORE INTO {name} ({self._names}) VALUES ({self._row(kind)}), ({self._row(kind)})"
            ),
            lambda: (
                f"INSERT INTO {name} ({self._names}) VALUES ({self._row(kind)}) "
                "ON DUPLICATE KEY UPDATE whole = whole + 1, letters = 'again'"
            ),
            lambda: f"UPDATE {name} SET {self._assignments()} WHERE {where}",
            lambda: f"UPDATE IGNORE {name} SET k = {self._key(kind)} WHERE {where}",
            lambda: f"UPDATE IGNORE {name} SET id = id + 1, tiny = 7 WHERE {where} ORDER BY id DESC",
            lambda: f"DELETE FROM {name} WHERE {where}",
            lambda: f"DELETE FROM {name} ORDER BY k, id LIMIT 2",
        )
        self._run(self._random.choice(choices)())

    def _unique_change(self) -> str:
        one, other = self._random.randrange(IDS), self._random.randrange(IDS)
        return self._random.choice(
            (
                f"INSERT IGNORE INTO traffic_unique VALUES ({one}, {other}, {one})",
                f"REPLACE INTO traffic_unique VALUES ({one}, {other}, {one})",
                f"UPDATE IGNORE traffic_unique SET b = {one}, v = v + 1 WHERE a = {other}",
                f"UPDATE IGNORE traffic_unique SET a = {one} WHERE b = {other}",
                f"DELETE FROM traffic_unique WHERE b = {one}",
            )
        )

    def _ddl(self) -> None:
        """What changes rows without events, on one table only: it is marked, and no longer compared."""
        name = f"traffic_{self._random.choice(list(TABLES))}"
        self._added += 1
        harmless = (
            f"ALTER TABLE {name} ADD COLUMN added_{self._added} INT",
            f"ALTER TABLE {name} ADD INDEX by_{self._added} (whole)",
            f"ALTER TABLE {name} MODIFY whole BIGINT",
            f"ALTER TABLE {name} COMMENT = 'é {self._added}'",
        )
        marking = (
            f"RENAME TABLE {MARKED} TO away, away TO {MARKED}",
            f"ALTER TABLE {MARKED} DROP COLUMN notes, ADD COLUMN notes MEDIUMTEXT",
            f"TRUNCATE TABLE {MARKED}",
        )
        self._run(self._random.choice(harmless if self._random.random() < 0.8 else marking))

    def _run(self, statement: str) -> None:
        self.statements += 1
        # a duplicate key, a number out of range, an unknown column: the statement changes nothing
        with suppress(pymysql.err.IntegrityError, pymysql.err.DataError, pymysql.err.OperationalError):
            self._cursor.execute(statement)

    @property
    def _names(self) -> str:
        return ", ".join(("k", "id", *VALUES))

    def _row(self, kind: str) -> str:
        values = (self._value(value) for _, value in VALUES.values())
        return ", ".join((self._key(kind), str(self._random.randrange(IDS)), *values))

    def _assignments(self) -> str:
        chosen = self._random.sample(list(VALUES), self._random.choice((1, 3, 8)))
        return ", ".join(f"{name} = {self._value(VALUES[name][1])}" for name in chosen)

    def _key(self, kind: str) -> str:
        if kind == "text":  # its collation takes a and A for one key
            return f"'{self._random.choice('aAbé')}'"
        if kind == "date":  # of zero dates, a key may be 0000-00-00 only
            return self._random.choice(("'0000-00-00'", "'0001-01-01'", "'2024-02-29'"))
        return self._value(KEYS[kind][1], null=False)

    def _value(self, kind: t.Type, *, null: bool = True) -> str:
        pick = self._random.choice
        if null and self._random.random() < 0.2:
            return "NULL"
        match kind:
            case t.Int(bits):
                return str(pick((0, 1, -1, (1 << (min(bits, 32) - 1)) - 1)))
            case t.UInt(bits):
                return str(pick((0, 1, (1 << bits) - 1, (1 << (bits - 1)) + 1)))
            case t.Bool():
                return str(pick((0, 1, 2)))
            case t.Decimal():
                return pick(("0", "-1.5", "1234567890.1234", "0.0001"))
            case t.Float():
                return pick(("0", "1e0/3", "-2.5", "1e10", "1.5e-7"))
            case t.Date():
                return f"'{pick(DATES)}'"
            case t.DateTime():
                return f"'{pick(DATES)} {pick(TIMES)}'"
            case t.Timestamp():
                return f"'{pick(('0000-00-00', '2024-03-31', '1970-01-02', '2037-01-01'))} {pick(TIMES)}'"
            case t.Time():
                return f"'{pick(('', '-'))}{pick(('00:00:00', '838:59:59', '10:11:12.345678'))}'"
            case t.Year():
                return pick(("0", "1901", "2155"))
            case t.Enum():
                return pick(("1", "2", "3"))
            case t.Set():
                return pick(("0", "1", "5", "7"))
            case t.Json():
                return pick(DOCUMENTS)
            case t.Bit():
                return pick(("0", "1", str((1 << 33) - 1)))
            case t.Binary():
                return pick(("''", "x'00'", "x'ff00'", "'ab'"))
            case t.Text():
                return f"_utf8mb4 x'{pick(TEXTS).encode().hex()}'"


def create_table(kind: str) -> str:
    columns = ", ".join(f"{name} {declaration}" for name, (declaration, _) in VALUES.items())
    return (
        f"CREATE TABLE traffic_{kind} (k {KEYS[kind][0]} NOT NULL, id INT NOT NULL, {columns}, "
        "PRIMARY KEY (k, id)) DEFAULT CHARSET utf8mb4"
    )


def different_rows(pipeline: Pipeline, table: Table, shard: str) -> list[str]:
    """A line for each row that is on one side only, or differs."""
    texts = ", ".join(map(_mysql_text, table.columns))
    with mysql.cursor(pipeline.endpoints.mysql[0], shard) as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(f"SELECT {texts} FROM {table.name}")
        source = Counter(_values(table, row, _from_mysql) for row in cursor.fetchall())
    texts = ", ".join(map(_clickhouse_text, table.columns))
    stored = pipeline.landed(f"SELECT {texts} FROM base.{table.name} WHERE _shard = '{shard}'")
    copy = Counter(_values(table, row, _from_clickhouse) for row in stored)
    return [
        *(
            f"{table.name}: only in MySQL: {dict(zip(table.names, row, strict=True))}"
            for row in source - copy
        ),
        *(
            f"{table.name}: only in ClickHouse: {dict(zip(table.names, row, strict=True))}"
            for row in copy - source
        ),
    ]


def _values(
    table: Table, row: tuple[Any, ...], read: Callable[[Column, str], Hashable]
) -> tuple[Hashable, ...]:
    return tuple(
        None if text is None else read(column, str(text))
        for column, text in zip(table.columns, row, strict=True)
    )


def _mysql_text(column: Column) -> str:
    match column.type:
        case t.Binary():
            return f"HEX(`{column.name}`)"
        case t.Bit():
            return f"`{column.name}` + 0"
        case _:
            return f"CAST(`{column.name}` AS CHAR CHARACTER SET utf8mb4)"


def _clickhouse_text(column: Column) -> str:
    match column.type:
        case t.Binary():
            return f"hex(`{column.name}`)"
        case t.Date():
            return f"toInt32(`{column.name}`)"
        case t.DateTime() | t.Timestamp():
            return f"toUnixTimestamp64Micro(CAST(`{column.name}` AS Nullable(DateTime64(6, 'UTC'))))"
        case _:
            return f"toString(`{column.name}`)"


def _from_mysql(column: Column, text: str) -> Hashable:
    match column.type:
        case t.Date() | t.DateTime() | t.Timestamp() if text.startswith("0000") or "-00" in text:
            zero = column.zero
            return None if zero is None else _time(column.type, zero.replace("T", " "))
        case t.Date() | t.DateTime() | t.Timestamp():
            return _time(column.type, text)
        case t.Year() if text == "0000":
            return None
        case t.Time():
            hours, minutes, seconds = text.removeprefix("-").split(":")
            micros = (int(hours) * 60 + int(minutes)) * 60_000_000 + int(Decimal(seconds) * 1_000_000)
            return -micros if text.startswith("-") else micros
        case _:
            return _plain(column.type, text)


def _time(kind: t.Type, text: str) -> int:
    """Days, or microseconds, since 1970."""
    if isinstance(kind, t.Date):
        return (dt.date.fromisoformat(text) - dt.date(1970, 1, 1)).days
    return (dt.datetime.fromisoformat(text) - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)


def _from_clickhouse(column: Column, text: str) -> Hashable:
    return int(text) if isinstance(column.type, t.Dated | t.Time) else _plain(column.type, text)


def _plain(kind: t.Type, text: str) -> Hashable:
    match kind:
        case t.Int() | t.UInt() | t.Bool() | t.Bit() | t.Year():
            return int(text)
        case t.Decimal():
            return Decimal(text)
        case t.Float(bits):
            return f"{float(text):.5e}" if bits == 32 else float(text)
        case t.Json():
            return json.dumps(json.loads(text, parse_float=_number), sort_keys=True)
        case _:
            return text


def _number(text: str) -> int | float:
    """1e20 and 100000000000000000000 are one number."""
    return int(float(text)) if float(text).is_integer() else float(text)
