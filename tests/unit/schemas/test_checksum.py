from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ContractError
from schemas import privacy as p
from schemas import types as t
from schemas.render import checksum as render
from schemas.render.canonical import mysql_is, mysql_literal
from schemas.render.checksum import Chunk, Scope, joined
from schemas.table import ClickHouse, Latest, Month, Scd2, Shards, Table, immutable, optional
from tests.golden import reviewed

ODD = Table(
    "or`der's",
    Shards("acc_*"),
    ("select", "ke`y"),
    Scd2(),
    (
        immutable(1, "select", t.Int(32), p.PUBLIC),
        immutable(2, "ke`y", t.Text(), p.PUBLIC),
        immutable(3, "at\\time", t.DateTime(3), p.PUBLIC),
        optional(4, "do'c", t.Json(), p.FREE_TEXT),
        optional(5, "sum", t.Decimal(18, 4), p.PUBLIC),
        optional(6, "long", t.Time(6), p.PUBLIC),
        optional(7, "gone", t.Bit(3), p.PUBLIC),
    ),
    clickhouse=ClickHouse(order_by=("at\\time",), partition_by=Month("at\\time"), keep_days=90),
)
SCOPE = Scope(ODD, "acc_`1'", frozenset({"gone"}), dt.date(2026, 8, 26))
CHUNKS = (Chunk(0, 10), Chunk(10, 20), Chunk(30, 40))


def test_the_queries_of_a_table_with_odd_names_are_as_reviewed() -> None:
    texts = [
        render.mysql_checksums(SCOPE, CHUNKS),
        render.clickhouse_checksums(SCOPE, CHUNKS),
        render.mysql_rows(SCOPE, CHUNKS[:1]),
        render.clickhouse_rows(SCOPE, CHUNKS[:1]),
        render.clickhouse_versions(SCOPE, CHUNKS[:1]),
    ]
    text = "\n\n".join(texts) + "\n"
    assert text == reviewed("odd.checksum.sql", text)


def test_an_integer_key_is_its_own_position() -> None:
    table = Table("t", Shards("*"), ("id",), Latest(), (immutable(1, "id", t.UInt(64), p.PUBLIC),))
    assert "WHERE ((`id` >= 5 AND `id` < 9))" in render.mysql_checksums(Scope(table, "s"), [Chunk(5, 9)])


chunks = st.builds(
    lambda low, width: Chunk(low, low + width), st.integers(-(2**63), 2**63), st.integers(1, 2**64)
)


@given(chunks, st.integers(1, 100))
def test_the_parts_of_a_chunk_cover_it_in_order(chunk: Chunk, parts: int) -> None:
    found = chunk.split(parts)
    assert (found[0].low, found[-1].high) == (chunk.low, chunk.high)
    assert all(left.high == right.low for left, right in pairwise(found))
    assert all(part.low < part.high for part in found)
    assert len(found) <= parts


@given(
    st.lists(
        st.builds(lambda low, width: Chunk(low, low + width), st.integers(0, 60), st.integers(1, 9)),
        max_size=9,
    )
)
def test_joined_chunks_hold_the_same_positions(some: Sequence[Chunk]) -> None:
    def positions(of: Sequence[Chunk]) -> set[int]:
        return {position for chunk in of for position in range(chunk.low, chunk.high)}

    whole = joined(some)
    assert positions(whole) == positions(some)
    assert all(left.high < right.low for left, right in pairwise(whole))


@pytest.mark.parametrize(
    ("kind", "text", "literal"),
    [
        (t.Int(64), b"-5", "-5"),
        (t.Date(), b"-354285", "FROM_DAYS(365243)"),
        (t.Date(), b"0000-00-00", "'0000-00-00'"),
        (t.DateTime(3), b"-1", "CAST('1969-12-31 23:59:59.999999' AS DATETIME(6))"),
        (t.Timestamp(0), b"0", "TIMESTAMP'1970-01-01 00:00:00.000000+00:00'"),
        (t.Time(6), b"-3020398999999", "CAST('-838:59:58.999999' AS TIME(6))"),
        (t.Text(), b"-'", "_utf8mb4 x'2d27'"),
        (t.Binary(), b"\x00", "x'00'"),
    ],
)
def test_literals_of_canonical_values(kind: t.Type, text: bytes, literal: str) -> None:
    assert mysql_literal(optional(1, "c", kind, p.PUBLIC), text) == literal


def test_floats_are_compared_as_numbers() -> None:
    column = optional(1, "c", t.Float(64), p.PUBLIC)
    with pytest.raises(ContractError):
        mysql_literal(column, b"0.1")
    assert mysql_is(column, b"0.1") == "CAST(`c` AS DOUBLE) = CAST('0.1' AS DOUBLE)"
    assert mysql_is(column, None) == "`c` IS NULL"
