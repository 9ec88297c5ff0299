"""Dead letters landed again with their original coordinates."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from consumers.batch import Batch
from consumers.deadletters import DeadLetter, DeadLetterWriter, read
from consumers.dropped import SourceHistory
from consumers.insert import Inserter
from consumers.schemas import SchemaBook
from consumers.target import ClickHouseTarget
from core.clients.registry import Registry
from core.control import ControlDatabase
from core.errors import PoisonError
from core.settings import Endpoints, LandingSettings
from core.wire.confluent import HEADER_SIZE
from schemas.catalog import Catalog
from schemas.names import topic_of


def replay(
    endpoints: Endpoints, settings: LandingSettings, catalog: Catalog, control: ControlDatabase, topic: str | None, reason: str
) -> tuple[int, int]:
    """(landed, still not) of the dead letters with `reason` in their reason that have not landed yet. Safe to repeat; blocks."""
    history = SourceHistory(endpoints.kafka, [server.name for server in endpoints.mysql])
    book = SchemaBook(Registry(endpoints.registry), control, ClickHouseTarget(endpoints, catalog, control).prepare, history)
    inserter = Inserter(endpoints.clickhouse, settings.retry_seconds, lambda: False)
    tables = {topic_of(table): table for table in catalog}
    done: list[DeadLetter] = []
    failed = 0
    try:
        for letter in read(endpoints.kafka, topic):
            if letter.replayed or reason not in letter.reason or letter.topic not in tables:
                continue
            table = tables[letter.topic]
            try:
                landing = book.landing(table, letter.schema_id or 0, letter.generation)
                batch = Batch(letter.topic, letter.value[:HEADER_SIZE])
                batch.add(letter.offset, letter.partition, letter.value)
                inserter.insert(table.name, landing.query, partial(batch.file, landing.container_header))
                done.append(replace(letter, value=b""))
            except PoisonError:
                failed += 1
    finally:
        DeadLetterWriter(endpoints.kafka).mark_replayed(done)
    return len(done), failed
