"""The two sides: one connection to each, and the few questions that verify asks of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pymysql
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from core.clients import clickhouse, mysql
from core.errors import MisconfiguredError, SwitchboardError, TransientError
from core.settings import ClickHouseEndpoint, MySqlServer
from schemas.render import checksum as render
from schemas.render.checksum import Chunk, Scope
from schemas.table import Table
from verify.results import Place, Values

Checksum = tuple[int, int]
"""(rows, exclusive or of their hashes)."""
EMPTY: Checksum = (0, 0)
Rows = dict[bytes, list[Values]]
"""By the key's canonical text: one row each, where the source's key is one."""
Places = dict[bytes, list[Place]]
"""By the key's canonical text: one place each, unless ClickHouse shows the key at several."""


@dataclass(frozen=True)
class Position:
    """A place in a server's binlog, as a set of transactions and as a place in its files."""

    gtids: str
    server_id: int
    file: int
    place: int

    @classmethod
    def stored(cls, offset: Mapping[str, Any]) -> Position:
        """As Debezium stores it: all before it was published."""
        file, place = str(offset.get("file", "")), int(offset.get("pos", 0))
        return cls(str(offset.get("gtids") or ""), int(offset.get("server_id") or 0), _file_number(file), place)

    def precedes(self, other: Position) -> bool:
        """Whether the files alone show that `other` is not before this."""
        return self.server_id == other.server_id and (self.file, self.place) <= (other.file, other.place)


def _file_number(name: str) -> int:
    number = name.rpartition(".")[2]
    return int(number) if number.isdigit() else 0


@dataclass
class MySqlSide:
    """A server; a connection that was lost is made anew by the next query."""

    server: MySqlServer
    connection: Connection[Cursor]

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Raises TransientError where MySQL is away, MisconfiguredError where it refuses the query."""
        try:
            if not self.connection.open:
                self.connection = mysql.connect(self.server)
            with self.connection.cursor() as cursor:
                cursor.execute(text)
                return list(cursor.fetchall())
        except (pymysql.err.OperationalError, pymysql.err.InterfaceError, pymysql.err.ProgrammingError) as error:
            raise _named(self.server, error) from error

    def columns(self, table: Table, database: str) -> frozenset[str]:
        """The columns of the table, none if it does not stand there."""
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

    def position(self) -> Position:
        """The end of what is committed by now."""
        try:
            found = self.query("SHOW BINARY LOG STATUS")
        except MisconfiguredError:
            found = self.query("SHOW MASTER STATUS")  # MySQL before 8.2
        if not found:
            raise MisconfiguredError(f"MySQL server {self.server.name!r} writes no binlog", "start it with --log-bin")
        file, place, *_, gtids = found[0]
        ((server_id,),) = self.query("SELECT @@server_id")
        return Position(_text(gtids).replace("\n", ""), int(server_id), _file_number(_text(file)), int(place))

    def contains_gtids(self, outer: str, inner: str) -> bool:
        query = f"SELECT GTID_SUBSET(x'{inner.encode().hex()}', x'{outer.encode().hex()}')"
        return bool(self.query(query)[0][0])


@dataclass
class ClickHouseSide:
    endpoint: ClickHouseEndpoint
    client: Client

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Strings arrive as bytes."""
        try:
            answer = self.client.query(text, query_formats={"String": "bytes"})
        except (ClickHouseError, OSError) as error:
            raise clickhouse.named(self.endpoint, error) from error
        return [tuple(row) for row in answer.result_rows]

    def columns(self, table: Table) -> frozenset[str]:
        """The columns that readers see; none if there is no such view."""
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

    def places(self, scope: Scope, chunks: Sequence[Chunk]) -> Places:
        found: Places = {}
        for key, version, *values in self.query(render.clickhouse_rows(scope, chunks)):
            found.setdefault(_bytes(key), []).append(Place(_values(values), int(version)))
        return found

    def versions(self, scope: Scope, chunks: Sequence[Chunk]) -> dict[bytes, int]:
        found = self.query(render.clickhouse_versions(scope, chunks))
        return {_bytes(key): int(version) for key, version in found}


@contextmanager
def open_mysql(server: MySqlServer) -> Iterator[MySqlSide]:
    connection = mysql.connect(server)
    try:
        yield MySqlSide(server, connection)
    finally:
        if connection.open:
            connection.close()


@contextmanager
def open_clickhouse(endpoint: ClickHouseEndpoint) -> Iterator[ClickHouseSide]:
    client = clickhouse.connect(endpoint, read_timeout=1800)
    try:
        yield ClickHouseSide(endpoint, client)
    finally:
        client.close()


def _named(server: MySqlServer, error: pymysql.err.Error) -> SwitchboardError:
    place = f"MySQL server {server.name!r} at {server.host}:{server.port}"
    code, text = (*error.args, "")[:2] if error.args else (0, "")
    if code in (2006, 2013, 2014, 2055, 0, 1053, 1205, 1213, 3024):
        return TransientError(f"{place} broke off: {text}", "is it running? `switchboard status` tells")
    return MisconfiguredError(f"{place} refused a query of verify: {text}", "does the contract describe the table?")


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
