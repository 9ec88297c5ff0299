"""Replay: dead letters are landed with their original coordinates."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from consumers.batch import Batch
from consumers.clickhouse_writer import ClickHouseWriter
from consumers.dead_letters import DeadLetter, DeadLetterWriter, read
from consumers.schema_cache import SchemaCache
from consumers.source_columns import SourceHistory
from consumers.table_widener import TableWidener
from core.clients.registry import Registry
from core.control import ControlDatabase
from core.errors import PoisonError
from core.settings import Endpoints, LandingSettings
from core.wire.confluent import HEADER_SIZE
from schemas.catalog import Catalog
from schemas.names import topic_of


def replay(
    endpoints: Endpoints,
    settings: LandingSettings,
    catalog: Catalog,
    control: ControlDatabase,
    topic: str | None,
    reason: str,
) -> tuple[int, int]:
    """Replays pending dead letters whose reason contains `reason`; returns how many landed and how many
    failed. Idempotent; blocks."""
    history = SourceHistory(endpoints.kafka, [server.name for server in endpoints.mysql])
    schemas = SchemaCache(
        Registry(endpoints.registry), control, TableWidener(endpoints.clickhouse, control).widen, history
    )
    writer = ClickHouseWriter(endpoints.clickhouse, settings.retry_seconds, lambda: False)
    tables = {topic_of(table): table for table in catalog}
    done: list[DeadLetter] = []
    failed = 0
    try:
        for letter in read(endpoints.kafka, topic):
            record = letter.record
            if letter.replayed or reason not in letter.reason or record.topic not in tables:
                continue
            table = tables[record.topic]
            try:
                plan = schemas.insert_plan(table, letter.schema_id or 0, record.generation)
                batch = Batch(record.topic, letter.value[:HEADER_SIZE])
                batch.add(record.offset, record.partition, letter.value)
                writer.insert(table.name, plan.query, partial(batch.file, plan.container_header))
                done.append(replace(letter, value=b""))
            except PoisonError:
                failed += 1
    finally:
        DeadLetterWriter(endpoints.kafka).mark_replayed(done)
    return len(done), failed
