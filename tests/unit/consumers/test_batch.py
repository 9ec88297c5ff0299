"""The block that ClickHouse reads is Avro, whatever the records are."""

from __future__ import annotations

import io
from typing import Any

import fastavro
from hypothesis import given
from hypothesis import strategies as st

from consumers.batch import Batch
from core.wire import avro, confluent
from schemas.render.landing import block_schema

ENVELOPE: dict[str, Any] = {
    "type": "record",
    "name": "Envelope",
    "fields": [{"name": "text", "type": "string"}, {"name": "number", "type": "long"}],
}
OFFSETS = st.integers(min_value=0, max_value=2**62)


def datum(text: str, number: int) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(ENVELOPE), {"text": text, "number": number})
    return confluent.frame(7, out.getvalue())


def read(batch: Batch) -> list[dict[str, Any]]:
    block = batch.block(avro.container_header(block_schema(ENVELOPE)))
    return [dict(record) for record in fastavro.reader(io.BytesIO(block)) if isinstance(record, dict)]


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_a_long_is_spelled_as_avro_spells_it(value: int) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, {"type": "long"}, value)
    assert avro.long(value) == out.getvalue()


@given(OFFSETS)
def test_a_run_of_64_longs_is_spelled_like_each_of_them(value: int) -> None:
    base = value & ~63
    assert avro.longs_of_run(base) == tuple(avro.long(base + index) for index in range(64))


@given(st.lists(st.tuples(st.text(), st.integers(-(2**63), 2**63 - 1)), min_size=1), OFFSETS, st.integers(0, 10_000))
def test_records_come_back_with_their_coordinates(rows: list[tuple[str, int]], first: int, partition: int) -> None:
    batch = Batch("t", confluent.frame(7, b""))
    offsets = [first + index for index in range(len(rows))]
    batch.extend(partition, offsets, [datum(*row) for row in rows])
    found = read(batch)
    assert [(record["text"], record["number"]) for record in found] == rows
    assert [record["_offset"] for record in found] == [record["_offset_again"] for record in found] == offsets
    assert {record["_partition"] for record in found} == {partition}
    assert [(place, offset) for place, offset, _ in batch.records()] == [(partition, offset) for offset in offsets]


@given(st.integers(2, 50))
def test_halves_hold_every_record_once(rows: int) -> None:
    batch = Batch("t", confluent.frame(7, b""))
    for offset in range(rows):
        batch.add(offset, 1, datum("x", offset))
    left, right = batch.halves()
    assert [*left.records(), *right.records()] == list(batch.records())
    assert left.rows
    assert right.rows
    assert left.size + right.size == batch.size
