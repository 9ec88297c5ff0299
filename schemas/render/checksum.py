"""Contract -> the queries that compare MySQL and ClickHouse: one canonical text for each value, the same on
both sides.

A row's text is each value's length in bytes, a colon and the value, or ``N`` for NULL: no two rows share one.
A chunk is a range of positions; a row's position is its key if that is one integer, else the CRC32 of its
key's text. No comparison or grouping uses a collation.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas import types as t
from schemas.names import ch_name, ch_string, mysql_name
from schemas.render.canonical import (
    clickhouse_canonical,
    clickhouse_text,
    mysql_canonical,
    mysql_is,
    mysql_text,
)
from schemas.render.clickhouse import VIEW_DATABASE, current_view, storage_table
from schemas.render.landing import storage_key_columns
from schemas.table import Column, Table

MAX_RAW_BYTES = 1024
"""Longer values of unbounded types are in a row's text as their length and SHA-256. In bytes."""
MAX_INLINE_BYTES = 65536
"""Longer values are fetched as their length and SHA-256, so that a chunk of large objects fits in memory. In
bytes."""
DIGEST = re.compile(rb"\d+ bytes, SHA-256 [0-9a-f]{64}")
HASHES = 1 << 32


@dataclass(frozen=True, order=True)
class Chunk:
    """Positions from `low` up to but not including `high`."""

    low: int
    high: int

    def split(self, parts: int) -> tuple[Chunk, ...]:
        """Returns at most `parts` chunks of about equal width that cover this one; itself if it cannot be
        divided."""
        width = max(1, -(-(self.high - self.low) // parts))
        return tuple(Chunk(low, min(low + width, self.high)) for low in range(self.low, self.high, width))


@dataclass(frozen=True)
class Scope:
    """The rows of a table in one shard that are compared.

    `absent` are columns that the source does not have, which are NULL in ClickHouse. Rows before `since` are
    subject to retention and not compared.
    """

    table: Table
    shard: str
    absent: frozenset[str] = frozenset()
    since: dt.date | None = None

    @property
    def by_integer(self) -> bool:
        """Whether positions are the key itself, so that chunks are ranges of its index."""
        table = self.table
        return len(table.key) == 1 and isinstance(table.column(table.key[0]).type, t.Int | t.UInt)


def _unbounded(column: Column) -> bool:
    return isinstance(column.type, t.Text | t.Json | t.Binary)


def _mysql_member(scope: Scope, column: Column) -> str:
    if column.name in scope.absent:
        return "'N'"
    text = mysql_canonical(column)
    body = f"IF(LENGTH({text}) > {MAX_RAW_BYTES}, SHA2({text}, 256), {text})" if _unbounded(column) else text
    return f"IFNULL(CONCAT(LENGTH({text}), ':', {body}), 'N')"


def _clickhouse_member(column: Column) -> str:
    text = clickhouse_canonical(column)
    body = (
        f"if(length({text}) > {MAX_RAW_BYTES}, lower(hex(SHA256({text}))), {text})"
        if _unbounded(column)
        else text
    )
    return f"ifNull(concat(toString(length({text})), ':', {body}), 'N')"


def mysql_row(scope: Scope, names: Iterable[str]) -> str:
    """Returns an expression for the text of these columns of a row."""
    members = ", ".join(_mysql_member(scope, scope.table.column(name)) for name in names)
    return f"CAST(CONCAT({members}) AS BINARY)"


def clickhouse_row(scope: Scope, names: Iterable[str]) -> str:
    members = ", ".join(_clickhouse_member(scope.table.column(name)) for name in names)
    return f"concat({members}, '')"


def mysql_checksums(scope: Scope, chunks: Sequence[Chunk]) -> str:
    """Returns a query for (chunk's index, rows, XOR of the rows' hashes).

    `chunks` are disjoint and ordered.
    """
    index = _mysql_index(scope, chunks)
    row = mysql_row(scope, scope.table.names)
    distinct = "DISTINCT " if scope.table.keyed_by_all_columns else ""
    return (
        "SELECT chunk, COUNT(*), BIT_XOR(CAST(CONV(LEFT(SHA2(`row`, 256), 16), 16, 10) AS UNSIGNED))\n"
        f"FROM (SELECT {distinct}{index} AS chunk, {row} AS `row`\n"
        f"FROM {_mysql_table(scope)}\nWHERE {_mysql_where(scope, chunks)}) AS hashed\nGROUP BY chunk"
    )


def clickhouse_checksums(scope: Scope, chunks: Sequence[Chunk]) -> str:
    """Returns the query of `mysql_checksums` on the current rows in ClickHouse."""
    row = clickhouse_row(scope, scope.table.names)
    return (
        f"SELECT {_clickhouse_index('_position', chunks, 0)} AS chunk, count(),\n"
        "groupBitXor(reinterpretAsUInt64(reverse(substring(SHA256(_text), 1, 8))))\n"
        f"FROM ({_clickhouse_with(scope)}SELECT _position, {row} AS _text\n"
        f"FROM {current_view(scope.table)}\nWHERE {_clickhouse_where(scope, chunks)})\nGROUP BY chunk"
    )


def mysql_rows(scope: Scope, chunks: Sequence[Chunk]) -> str:
    """Returns a query for (key's text, canonical value of each column) of each row."""
    values = [_mysql_shown(scope, column) for column in scope.table.columns]
    distinct = "DISTINCT " if scope.table.keyed_by_all_columns else ""
    return (
        f"SELECT {distinct}{', '.join([mysql_row(scope, scope.table.key), *values])}\n"
        f"FROM {_mysql_table(scope)}\nWHERE {_mysql_where(scope, chunks)}"
    )


def clickhouse_rows(scope: Scope, chunks: Sequence[Chunk]) -> str:
    """Returns a query for (key's text, version, canonical value of each column) of each current row."""
    values = [_clickhouse_shown(column) for column in scope.table.columns]
    return (
        f"{_clickhouse_with(scope)}SELECT "
        f"{', '.join([clickhouse_row(scope, scope.table.key), '_version', *values])}\n"
        f"FROM {current_view(scope.table)}\nWHERE {_clickhouse_where(scope, chunks)}"
    )


def clickhouse_versions(scope: Scope, chunks: Sequence[Chunk]) -> str:
    """Returns a query for (key's text, newest version) of each key that ever landed, deleted ones
    included."""
    return (
        f"{_clickhouse_with(scope)}SELECT {clickhouse_row(scope, scope.table.key)} AS _text, max(_version)\n"
        f"FROM {storage_table(scope.table)}\nWHERE {_clickhouse_where(scope, chunks)}\nGROUP BY _text"
    )


def mysql_bounds(scope: Scope) -> str:
    """Returns a query for (lowest, highest) position; only if positions are the key."""
    name = mysql_name(scope.table.key[0])
    return f"SELECT MIN({name}), MAX({name}) FROM {_mysql_table(scope)}"


def mysql_step(scope: Scope, low: int, rows: int) -> str:
    """Returns a query for the key that is `rows` rows after `low` in key order, if there is one."""
    name = mysql_name(scope.table.key[0])
    return (
        f"SELECT {name} FROM {_mysql_table(scope)} WHERE {name} >= {low} ORDER BY {name} LIMIT 1 OFFSET "
        f"{rows}"
    )


def clickhouse_bounds(scope: Scope) -> str:
    """Returns a query for (rows, lowest, highest position). Positions are 0 if the key is not one integer."""
    name = ch_name(scope.table.key[0]) if scope.by_integer else "0"
    return (
        f"SELECT count(), min({name}), max({name}) FROM {current_view(scope.table)} WHERE "
        f"{_clickhouse_shard(scope)}"
    )


def mysql_estimate(scope: Scope) -> str:
    """Returns a query for the approximate number of rows, from MySQL's statistics."""
    return f"SELECT table_rows FROM information_schema.tables WHERE {_mysql_named(scope.table, scope.shard)}"


def mysql_columns(table: Table, database: str) -> str:
    return f"SELECT column_name FROM information_schema.columns WHERE {_mysql_named(table, database)}"


def _mysql_named(table: Table, database: str) -> str:
    return f"table_schema = {_mysql_string(database)} AND table_name = {_mysql_string(table.name)}"


def mysql_databases(table: Table) -> str:
    return (
        "SELECT table_schema FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_name "
        f"= {_mysql_string(table.name)}"
    )


def _mysql_string(text: str) -> str:
    return f"_utf8mb4 x'{text.encode().hex()}'"


def clickhouse_columns(table: Table) -> str:
    return (
        f"SELECT name FROM system.columns WHERE database = {ch_string(VIEW_DATABASE)} AND table = "
        f"{ch_string(table.name)}"
    )


def clickhouse_shards(table: Table) -> str:
    return f"SELECT DISTINCT _shard FROM {current_view(table)}"


def _mysql_table(scope: Scope) -> str:
    return f"{mysql_name(scope.shard)}.{mysql_name(scope.table.name)}"


def _mysql_position(scope: Scope) -> str:
    return (
        mysql_name(scope.table.key[0]) if scope.by_integer else f"CRC32({mysql_row(scope, scope.table.key)})"
    )


def _clickhouse_with(scope: Scope) -> str:
    position = (
        ch_name(scope.table.key[0])
        if scope.by_integer
        else f"CRC32({clickhouse_row(scope, scope.table.key)})"
    )
    return f"WITH {position} AS _position\n"


def _mysql_index(scope: Scope, chunks: Sequence[Chunk]) -> str:
    """Returns an expression for the chunk's index; INTERVAL searches by bisection."""
    starts = ", ".join(str(chunk.low) for chunk in chunks[1:])
    return f"INTERVAL({_mysql_position(scope)}, {starts})" if starts else "0"


def _clickhouse_index(position: str, chunks: Sequence[Chunk], first: int) -> str:
    if len(chunks) == 1:
        return f"toUInt32({first})"
    middle = len(chunks) // 2
    lower = _clickhouse_index(position, chunks[:middle], first)
    upper = _clickhouse_index(position, chunks[middle:], first + middle)
    return f"if({position} < {chunks[middle].low}, {lower}, {upper})"


def joined(chunks: Iterable[Chunk]) -> tuple[Chunk, ...]:
    """Returns the same positions in as few chunks as possible."""
    out: list[Chunk] = []
    for chunk in sorted(chunks):
        if out and out[-1].high >= chunk.low:
            out[-1] = Chunk(out[-1].low, max(out[-1].high, chunk.high))
        else:
            out.append(chunk)
    return tuple(out)


def _mysql_where(scope: Scope, chunks: Sequence[Chunk]) -> str:
    """Returns the condition.

    INTERVAL evaluates a hash once; a key is compared directly, so that its index is used.
    """
    position, bounds = (
        _mysql_position(scope),
        [bound for chunk in joined(chunks) for bound in (chunk.low, chunk.high)],
    )
    inside = _inside(position, chunks)
    if not scope.by_integer and bounds:
        whole = bounds == [0, HASHES]
        inside = "1 = 1" if whole else f"INTERVAL({position}, {', '.join(map(str, bounds))}) % 2 = 1"
    return inside + (f" AND {kept}" if (kept := mysql_kept(scope)) else "")


def _clickhouse_where(scope: Scope, chunks: Sequence[Chunk]) -> str:
    return f"{_clickhouse_shard(scope)} AND {_inside('_position', chunks)}"


def _inside(position: str, chunks: Sequence[Chunk]) -> str:
    ranges = [f"({position} >= {chunk.low} AND {position} < {chunk.high})" for chunk in joined(chunks)]
    return f"({' OR '.join(ranges)})" if ranges else "1 = 0"


def mysql_kept(scope: Scope) -> str:
    """Returns the condition of rows that are not subject to retention; empty if that is every row."""
    month = scope.table.clickhouse.partition_by
    if scope.since is None or month is None:
        return ""
    return f"{mysql_name(month.column)} >= '{scope.since.isoformat()}'"


def _clickhouse_shard(scope: Scope) -> str:
    shard = f"_shard = {ch_string(scope.shard)}"
    month = scope.table.clickhouse.partition_by
    if scope.since is None or month is None:
        return shard
    return f"{shard} AND {ch_name(month.column)} >= toDate32('{scope.since.isoformat()}')"


def mysql_within(scope: Scope, chunks: Sequence[Chunk]) -> str:
    """Returns the condition that a row is in the chunks and not subject to retention; also a snapshot's
    filter."""
    return _mysql_where(scope, chunks)


def in_full(column: Column, value: bytes | None) -> bool:
    """Whether a fetched value is the value itself, not the digest of a long one."""
    return value is None or not isinstance(column.type, t.Text | t.Binary) or DIGEST.fullmatch(value) is None


def mysql_key_is(scope: Scope, values: Mapping[str, bytes | None]) -> str:
    """Returns the condition that a row has this key, given as canonical values; it can use the key's
    index."""
    return _mysql_are(scope, scope.table.key, values)


def mysql_storage_key_is(scope: Scope, values: Mapping[str, bytes | None]) -> str:
    """Returns the condition that a row has this key and this storage key."""
    return _mysql_are(scope, (*scope.table.key, *storage_key_columns(scope.table)), values)


def _mysql_are(scope: Scope, names: Iterable[str], values: Mapping[str, bytes | None]) -> str:
    return " AND ".join(mysql_is(scope.table.column(name), values[name]) for name in names)


def mysql_present(scope: Scope, condition: str) -> str:
    return f"SELECT 1 FROM {_mysql_table(scope)} WHERE {condition} LIMIT 1"


def _mysql_shown(scope: Scope, column: Column) -> str:
    if column.name in scope.absent:
        return "NULL"
    text = mysql_text(column)
    if not isinstance(column.type, t.Text | t.Binary):
        return text
    return (
        f"IF(LENGTH({text}) > {MAX_INLINE_BYTES}, CONCAT(LENGTH({text}), ' bytes, SHA-256 ', SHA2({text}, "
        f"256)), {text})"
    )


def _clickhouse_shown(column: Column) -> str:
    text = clickhouse_text(column)
    if not isinstance(column.type, t.Text | t.Binary):
        return text
    digest = f"concat(toString(length({text})), ' bytes, SHA-256 ', lower(hex(SHA256({text}))))"
    return f"if(length({text}) > {MAX_INLINE_BYTES}, {digest}, {text})"
