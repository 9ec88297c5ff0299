"""The block that ClickHouse reads is Avro, whatever the records are."""

from __future__ import annotations

import io
import itertools
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
    file = b"".join(batch.file(avro.container_header(block_schema(ENVELOPE))))
    return [dict(record) for record in fastavro.reader(io.BytesIO(file)) if isinstance(record, dict)]


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_a_long_is_encoded_as_avro_encodes_it(value: int) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, {"type": "long"}, value)
    assert avro.long(value) == out.getvalue()


@given(OFFSETS)
def test_a_run_of_64_longs_is_encoded_like_each_of_them(value: int) -> None:
    base = value & ~63
    assert avro.longs_of_run(base) == tuple(avro.long(base + index) for index in range(64))


@st.composite
def runs(draw: st.DrawFn) -> dict[int, tuple[str, int]]:
    """Offset -> row, ascending: without gaps, or with those that compaction and transactions' ends leave."""
    rows = draw(st.lists(st.tuples(st.text(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=200))
    steps = draw(
        st.just([1] * len(rows)) | st.lists(st.integers(1, 100), min_size=len(rows), max_size=len(rows))
    )
    return dict(zip(itertools.accumulate(steps, initial=draw(OFFSETS)), rows, strict=False))


@given(runs(), st.integers(0, 10_000))
def test_records_come_back_with_their_coordinates(run: dict[int, tuple[str, int]], partition: int) -> None:
    batch = Batch("t", confluent.frame(7, b""))
    offsets, rows = list(run), list(run.values())
    batch.extend(partition, offsets, [datum(*row) for row in rows])
    found = read(batch)
    assert [(record["text"], record["number"]) for record in found] == rows
    assert [record["_offset"] for record in found] == [record["_offset_again"] for record in found] == offsets
    assert {record["_partition"] for record in found} == {partition}
    assert [(number, offset) for number, offset, _ in batch.records()] == [
        (partition, offset) for offset in offsets
    ]


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
