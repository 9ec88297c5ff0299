"""Readers of the two sides: one connection to each, and the queries of a verification."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pymysql
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from pymysql.connections import Connection
from pymysql.constants import CR, ER
from pymysql.cursors import Cursor

from core.clients import clickhouse, mysql
from core.errors import MisconfiguredError, SwitchboardError, TransientError
from core.settings import ClickHouseEndpoint, MySqlServer
from schemas.render import checksum as render
from schemas.render.checksum import Chunk, Scope
from schemas.table import Table
from verify.results import StoredRow, Values

Checksum = tuple[int, int]
"""(row count, exclusive or of the rows' hashes)."""
EMPTY: Checksum = (0, 0)
Rows = dict[bytes, list[Values]]
"""By the canonical text of the key: one row each if the key is unique in the source."""
StoredRows = dict[bytes, list[StoredRow]]
"""By the canonical text of the key: one row each, unless ClickHouse has several under different storage keys.
"""
NO_ERROR_CODE = 0
TRANSIENT_ERRORS = {
    NO_ERROR_CODE,  # pymysql's own: the connection is closed
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
    CR.CR_COMMANDS_OUT_OF_SYNC,
    CR.CR_SERVER_LOST_EXTENDED,
    ER.SERVER_SHUTDOWN,
    ER.LOCK_WAIT_TIMEOUT,
    ER.LOCK_DEADLOCK,
    3024,  # ER_QUERY_TIMEOUT
}


@dataclass(frozen=True)
class BinlogPosition:
    """A position in a server's binlog: the executed GTIDs, and the file with the offset in it."""

    gtids: str
    server_id: int
    file: int
    offset: int

    @classmethod
    def from_debezium(cls, stored: Mapping[str, Any]) -> BinlogPosition:
        """From an offset that Debezium stored: everything before it is published."""
        file = str(stored.get("file", ""))
        return cls(
            str(stored.get("gtids") or ""),
            int(stored.get("server_id") or 0),
            _file_number(file),
            int(stored.get("pos", 0)),
        )

    def precedes(self, other: BinlogPosition) -> bool:
        """Whether the file and offset show that `other` is not before this position."""
        return self.server_id == other.server_id and (self.file, self.offset) <= (other.file, other.offset)


def _file_number(name: str) -> int:
    number = name.rpartition(".")[2]
    return int(number) if number.isdigit() else 0


@dataclass
class MySqlReader:
    """One MySQL server. The next query reconnects after a lost connection."""

    server: MySqlServer
    connection: Connection[Cursor]

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Raises TransientError if MySQL is unavailable, MisconfiguredError if it refuses the query.

        Blocks.
        """
        try:
            if not self.connection.open:
                self.connection = mysql.connect(self.server)
            with self.connection.cursor() as cursor:
                cursor.execute(text)
                return list(cursor.fetchall())
        except (
            pymysql.err.OperationalError,
            pymysql.err.InterfaceError,
            pymysql.err.ProgrammingError,
        ) as error:
            raise _converted(self.server, error) from error

    def columns(self, table: Table, database: str) -> frozenset[str]:
        """The columns of the table; empty if the database has no such table."""
        return frozenset(_text(name) for (name,) in self.query(render.mysql_columns(table, database)))

    def databases_with(self, table: Table) -> list[str]:
        """The databases that have a table of this name."""
        return [_text(name) for (name,) in self.query(render.mysql_databases(table))]

    def checksums(self, scope: Scope, chunks: Sequence[Chunk]) -> list[Checksum]:
        return _by_chunk(self.query(render.mysql_checksums(scope, chunks)), len(chunks))

    def rows(self, scope: Scope, chunks: Sequence[Chunk]) -> Rows:
        found: Rows = {}
        for key, *values in self.query(render.mysql_rows(scope, chunks)):
            found.setdefault(_bytes(key), []).append(_values(values))
        return found

    def bounds(self, scope: Scope) -> tuple[int, int] | None:
        ((low, high),) = self.query(render.mysql_bounds(scope))
        return None if low is None else (int(low), int(high))

    def step(self, scope: Scope, low: int, rows: int) -> int | None:
        found = self.query(render.mysql_step(scope, low, rows))
        return int(found[0][0]) if found else None

    def estimated_rows(self, scope: Scope) -> int:
        found = self.query(render.mysql_estimate(scope))
        return int(found[0][0] or 0) if found else 0

    def position(self) -> BinlogPosition:
        """The end of the binlog: everything committed so far is before it."""
        try:
            found = self.query("SHOW BINARY LOG STATUS")
        except MisconfiguredError:
            found = self.query("SHOW MASTER STATUS")  # MySQL before 8.2
        if not found:
            raise MisconfiguredError(
                f"MySQL server {self.server.name!r} writes no binlog", "start it with --log-bin"
            )
        file, offset, *_, gtids = found[0]
        ((server_id,),) = self.query("SELECT @@server_id")
        return BinlogPosition(
            _text(gtids).replace("\n", ""), int(server_id), _file_number(_text(file)), int(offset)
        )

    def contains_gtids(self, outer: str, inner: str) -> bool:
        query = f"SELECT GTID_SUBSET(x'{inner.encode().hex()}', x'{outer.encode().hex()}')"
        return bool(self.query(query)[0][0])


@dataclass
class ClickHouseReader:
    """ClickHouse, through its current views."""

    endpoint: ClickHouseEndpoint
    client: Client

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Strings are returned as bytes. Raises SwitchboardError if ClickHouse fails. Blocks."""
        try:
            answer = self.client.query(text, query_formats={"String": "bytes"})
        except (ClickHouseError, OSError) as error:
            raise clickhouse.classify(self.endpoint, error) from error
        return [tuple(row) for row in answer.result_rows]

    def columns(self, table: Table) -> frozenset[str]:
        """The columns of the current view; empty if there is no such view."""
        return frozenset(_text(name) for (name,) in self.query(render.clickhouse_columns(table)))

    def shards(self, table: Table) -> list[str]:
        return sorted(_text(shard) for (shard,) in self.query(render.clickhouse_shards(table)))

    def bounds(self, scope: Scope) -> tuple[int, int] | None:
        ((rows, low, high),) = self.query(render.clickhouse_bounds(scope))
        return (int(low), int(high)) if rows else None

    def count(self, scope: Scope) -> int:
        return int(self.query(render.clickhouse_bounds(scope))[0][0])

    def checksums(self, scope: Scope, chunks: Sequence[Chunk]) -> list[Checksum]:
        return _by_chunk(self.query(render.clickhouse_checksums(scope, chunks)), len(chunks))

    def stored_rows(self, scope: Scope, chunks: Sequence[Chunk]) -> StoredRows:
        found: StoredRows = {}
        for key, version, *values in self.query(render.clickhouse_rows(scope, chunks)):
            found.setdefault(_bytes(key), []).append(StoredRow(_values(values), int(version)))
        return found

    def versions(self, scope: Scope, chunks: Sequence[Chunk]) -> dict[bytes, int]:
        found = self.query(render.clickhouse_versions(scope, chunks))
        return {_bytes(key): int(version) for key, version in found}


@contextmanager
def open_mysql(server: MySqlServer) -> Iterator[MySqlReader]:
    connection = mysql.connect(server)
    try:
        yield MySqlReader(server, connection)
    finally:
        if connection.open:
            connection.close()


@contextmanager
def open_clickhouse(endpoint: ClickHouseEndpoint) -> Iterator[ClickHouseReader]:
    client = clickhouse.connect(endpoint, read_timeout=1800)
    try:
        yield ClickHouseReader(endpoint, client)
    finally:
        client.close()


def _converted(server: MySqlServer, error: pymysql.err.Error) -> SwitchboardError:
    name = f"MySQL server {server.name!r} at {server.host}:{server.port}"
    code, text = (*error.args, "")[:2] if error.args else (0, "")
    if code in TRANSIENT_ERRORS:
        return TransientError(f"the connection to {name} was lost: {text}", "check `switchboard status`")
    return MisconfiguredError(
        f"{name} refused a query of verify: {text}", "check the table against its contract"
    )


def _by_chunk(rows: Iterable[tuple[Any, ...]], chunks: int) -> list[Checksum]:
    out = [EMPTY] * chunks
    for index, count, hashed in rows:
        out[int(index)] = (int(count), int(hashed))
    return out


def _values(row: Iterable[Any]) -> Values:
    return tuple(None if value is None else _bytes(value) for value in row)


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
