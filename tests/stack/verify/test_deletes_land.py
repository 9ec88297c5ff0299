"""A compare-and-delete, landed by the landing query itself, removes the row that was observed and nothing
newer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from consumers.batch import Batch
from core.settings import Endpoints
from core.wire import avro
from schemas import privacy as p
from schemas import types as t
from schemas.render.landing import block_schema, landing_query
from schemas.table import ClickHouse, Latest, Month, Shards, Table, immutable, optional
from tests.stack.verify.verify_bench import Bench, Space, make
from verify.deletes import delete_record

ROW = {
    "type": "record",
    "name": "Value",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "at", "type": {"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"}},
        {"name": "note", "type": ["null", "string"], "default": None},
    ],
}
SOURCE = {
    "type": "record",
    "name": "Source",
    "fields": [
        *({"name": name, "type": "string"} for name in ("connector", "db", "file")),
        *({"name": name, "type": "long"} for name in ("ts_ms", "pos")),
        {"name": "row", "type": "int"},
    ],
}
ENVELOPE: dict[str, Any] = {
    "type": "record",
    "name": "Envelope",
    "fields": [
        {"name": "before", "type": ["null", ROW], "default": None},
        {"name": "after", "type": ["null", "Value"], "default": None},
        {"name": "source", "type": SOURCE},
        {"name": "op", "type": "string"},
    ],
}


@pytest.fixture
def events(stack: Endpoints, space: Space) -> Iterator[Bench]:
    columns = (
        immutable(1, "id", t.UInt(64), p.PUBLIC),
        immutable(2, "at", t.DateTime(6), p.PUBLIC),
        optional(3, "note", t.Text(), p.PUBLIC),
    )
    storage = ClickHouse(order_by=("at", "id"), partition_by=Month("at"))
    table = Table(space.name("vt_events"), Shards("vt_*"), ("id",), Latest(), columns, clickhouse=storage)
    yield from make(stack, space, table, "id BIGINT UNSIGNED PRIMARY KEY, at DATETIME(6) NOT NULL, note TEXT")


def land(bench: Bench, value: bytes) -> None:
    batch = Batch("cdc.none", value[:5])
    batch.add(9, 0, value)
    where = bench.stack.clickhouse
    answer = requests.post(
        f"http://{where.host}:{where.http_port}/",
        params={"query": landing_query(bench.table, ENVELOPE, 0)},
        data=b"".join(batch.file(avro.container_header(block_schema(ENVELOPE)))),
        auth=(where.user, where.password.get_secret_value()),
        timeout=30,
    )
    assert answer.status_code == 200, answer.text


def test_only_the_observed_version_goes(events: Bench) -> None:
    for identity in ("18446744073709551615", "7"):
        events.land(
            {"id": identity, "at": "toDateTime64('2026-01-02 03:04:05.000006', 6, 'UTC')", "note": "'x'"},
            version=10,
        )
    seen = events.verify()
    assert [row.kind for row in seen.differences] == ["extra in ClickHouse"] * 2
    events.land(
        {"id": "7", "at": "toDateTime64('2026-01-02 03:04:05.000006', 6, 'UTC')", "note": "'newer'"},
        version=12,
    )
    for row in seen.differences:
        assert row.clickhouse is not None
        assert row.version == 10
        land(events, delete_record(1, ENVELOPE, events.table, row.clickhouse, events.shard, row.version, 0))
    after = events.verify()
    assert [dict(row.key)["id"] for row in after.differences] == ["7"]
    assert after.differences[0].version == 12
