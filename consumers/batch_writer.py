"""Landing of one batch: it is inserted, or halved until the records that cannot land are isolated."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from consumers.batch import Batch
from consumers.clickhouse_writer import ClickHouseWriter
from consumers.dead_letters import DeadLetterWriter
from consumers.envelope import committed_at, decoded, parsed, truncated_shard
from consumers.evolution import DiscardedError
from consumers.schema_cache import InsertPlan, SchemaCache, TopicGenerationKey
from core import logging, metrics
from core.control import ControlDatabase
from core.control.table_health import NEEDS_VERIFICATION, set_condition
from core.errors import PoisonError, StoppedError
from core.settings import LandingSettings
from core.wire import confluent
from schemas.names import topic_of
from schemas.render.landing import tombstone_query
from schemas.table import Computed, Table

log = logging.get("lander")

NEWEST: dict[str, float] = {}
"""Table -> commit time of its newest change that this process has landed, in seconds since the epoch."""


class DeadLetterRateLimiter:
    """Counts dead letters by table in a sliding window, and stops a table that exceeds the limit.

    Thread-safe.
    """

    def __init__(self, settings: LandingSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = settings.max_dead_letters
        self._window = settings.dead_letter_window_seconds
        self._clock = clock
        self._counts: dict[str, deque[tuple[float, int]]] = {}
        self._lock = threading.Lock()

    def count(self, table: str, records: int, reason: str) -> None:
        """Adds these dead letters. Raises StoppedError if the window holds more than the limit."""
        now = self._clock()
        with self._lock:
            counts = self._counts.setdefault(table, deque())
            counts.append((now, records))
            while counts[0][0] < now - self._window:
                counts.popleft()
            if sum(number for _, number in counts) > self._limit:
                raise StoppedError(
                    f"table {table!r}: more than {self._limit} records in {self._window:.0f} s could not be "
                    f"landed; the last: {reason}",
                    "see `switchboard dlq list`; correct the contract and run `switchboard apply`, or the "
                    "source and restart the landers",
                )

    def forget(self, table: str) -> None:
        with self._lock:
            self._counts.pop(table, None)


class BatchWriter:
    """Lands batches on one thread, with its own connection to ClickHouse and its own producer of dead
    letters."""

    def __init__(
        self,
        writer: ClickHouseWriter,
        letters: DeadLetterWriter,
        schemas: SchemaCache,
        limiter: DeadLetterRateLimiter,
        control: ControlDatabase,
    ) -> None:
        self._writer = writer
        self._letters = letters
        self._schemas = schemas
        self._limiter = limiter
        self._control = control

    def load_schema(self, table: Table, generation: int, batch: Batch) -> None:
        """Raises as `SchemaCache.insert_plan`, except PoisonError; blocks on the registry for a new schema.

        To be called for every batch of a table before any lands: a retried table would write its dead letters
        again.
        """
        with suppress(PoisonError):  # its records become dead letters
            self._schemas.insert_plan(table, batch.schema_id, generation)

    def land(self, table: Table, generation: int, batch: Batch) -> None:
        """Blocks until each record is inserted or durably a dead letter; else raises, and no offset may be
        committed."""
        try:
            plan = self._schemas.insert_plan(table, batch.schema_id, generation)
        except PoisonError as error:
            self._dead_letter(table, generation, list(batch.records()), error)
            return
        self._insert(table, generation, plan, batch)

    def _insert(
        self, table: Table, generation: int, plan: InsertPlan, batch: Batch, *, whole: bool = True
    ) -> None:
        """Halves a refused batch until the failing record is isolated, which takes long: the log says so
        once."""
        try:
            self._writer.insert(table.name, plan.query, partial(batch.file, plan.container_header))
        except PoisonError as error:
            if whole:
                log.warning(
                    "a record cannot be landed",
                    table=table.name,
                    among=batch.rows,
                    schema_id=batch.schema_id,
                    reason=str(error),
                )
            if batch.rows > 1:
                for half in batch.halves():
                    self._insert(table, generation, plan, half, whole=False)
                return
            self._dead_letter(table, generation, list(batch.records()), error)
        else:
            metrics.LANDED_ROWS.labels(table.name).inc(batch.rows)
            metrics.LANDED_BYTES.labels(table.name).inc(batch.size)
            _record_freshness(table, plan, batch)

    def land_tombstones(
        self, table: Table, generation: int, tombstones: Sequence[tuple[int, int, bytes]]
    ) -> None:
        """Lands tombstones, each as (partition, offset, key).

        Those of Debezium follow a delete event and are ignored; a Flink job sends no other delete.
        """
        if not isinstance(table.source, Computed):
            return
        rows = (
            {"_partition": p, "_offset": o, "key": key.decode(errors="replace")} for p, o, key in tombstones
        )
        body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        self._writer.insert(table.name, tombstone_query(table, generation), lambda: (body,))
        metrics.LANDED_ROWS.labels(table.name).inc(len(tombstones))

    def handle_unbatchable(
        self, table: Table, generation: int, partition: int, offset: int, value: bytes, reason: str
    ) -> None:
        """Lands a record that fits no batch: a truncate sets NEEDS_VERIFICATION, any other becomes a dead
        letter."""
        shard = self._truncated((topic_of(table), generation), value)
        if shard is None:
            self._dead_letter(table, generation, [(partition, offset, value)], PoisonError(reason))
            return
        record = f"{topic_of(table)}[{partition}]@{offset}"
        reason = f"the source truncated the table, see {record}: its old rows still exist here"
        set_condition(self._control, table.name, shard, NEEDS_VERIFICATION, reason)
        log.warning(
            "table truncated in the source",
            table=table.name,
            shard=shard,
            record=record,
            remedy="switchboard verify --repair",
        )

    def _truncated(self, topic_generation: TopicGenerationKey, value: bytes) -> str | None:
        identity = confluent.schema_id(value)
        try:
            record = (
                None
                if identity is None
                else decoded(parsed(json.loads(self._schemas.text(topic_generation, identity))), value)
            )
        except PoisonError:
            return None
        return None if record is None else truncated_shard(record)

    def _dead_letter(
        self, table: Table, generation: int, records: Sequence[tuple[int, int, bytes]], reason: PoisonError
    ) -> None:
        """Writes records, each as (partition, offset, value), to the dead letters."""
        if not isinstance(reason, DiscardedError):
            self._limiter.count(table.name, len(records), str(reason))
        self._letters.put(topic_of(table), generation, records, str(reason))
        metrics.DEAD_LETTERS.labels(table.name).inc(len(records))


def _record_freshness(table: Table, plan: InsertPlan, batch: Batch) -> None:
    """Reads the commit time of the batch's last record; batches of a table may land concurrently, so the
    newest counts."""
    record = decoded(plan.schema, batch.parts[-2])
    if record is not None:
        NEWEST[table.name] = max(NEWEST.get(table.name, 0.0), committed_at(record))
        metrics.LANDED_COMMIT.labels(table.name).set(NEWEST[table.name])
