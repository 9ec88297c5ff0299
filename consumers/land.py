"""Landing one batch: insert it, or halve it until the records that cannot land stand alone."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from consumers.batch import Batch
from consumers.deadletters import DeadLetterWriter
from consumers.envelope import committed_at, decoded, parsed, truncated_shard
from consumers.evolution import DiscardedError
from consumers.insert import Inserter
from consumers.schemas import Landing, Made, SchemaBook
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
"""Table -> when its newest change landed by this process was committed, in seconds since 1970."""


class PoisonGauge:
    """Counts dead letters by table in a sliding window and stops a table that has too many. Thread-safe."""

    def __init__(self, settings: LandingSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = settings.poison_limit
        self._window = settings.poison_window_seconds
        self._clock = clock
        self._counts: dict[str, deque[tuple[float, int]]] = {}
        self._lock = threading.Lock()

    def count(self, table: str, records: int, reason: str) -> None:
        """Raises StoppedError once more than the limit fell into the window."""
        now = self._clock()
        with self._lock:
            counts = self._counts.setdefault(table, deque())
            counts.append((now, records))
            while counts[0][0] < now - self._window:
                counts.popleft()
            if sum(number for _, number in counts) > self._limit:
                raise StoppedError(
                    f"table {table!r}: more than {self._limit} records in {self._window:.0f} s cannot land; the last: {reason}",
                    "see `switchboard dlq list`; correct the contract and `switchboard apply`, or the source and start the landers again",
                )

    def forget(self, table: str) -> None:
        with self._lock:
            self._counts.pop(table, None)


class BatchLander:
    """Lands batches on one thread: one connection to ClickHouse, one producer of dead letters."""

    def __init__(
        self, inserter: Inserter, letters: DeadLetterWriter, book: SchemaBook, gauge: PoisonGauge, control: ControlDatabase
    ) -> None:
        self._inserter = inserter
        self._letters = letters
        self._book = book
        self._gauge = gauge
        self._control = control

    def load_schema(self, table: Table, generation: int, batch: Batch) -> None:
        """Raises as `SchemaBook.landing` does, but for PoisonError; blocks on the registry for a schema not met before.

        Call it for every batch of a table before any lands: a table that is retried writes its dead letters again.
        """
        with suppress(PoisonError):  # its records' own fault
            self._book.landing(table, batch.schema_id, generation)

    def land(self, table: Table, generation: int, batch: Batch) -> None:
        """Returns once each record is inserted or durably a dead letter; else raises, and nothing may be committed."""
        try:
            landing = self._book.landing(table, batch.schema_id, generation)
        except PoisonError as error:
            self._set_aside(table, generation, list(batch.records()), error)
            return
        self._insert(table, generation, landing, batch)

    def _insert(self, table: Table, generation: int, landing: Landing, batch: Batch, *, whole: bool = True) -> None:
        """A batch that is refused is halved until the record at fault stands alone, which takes long: it is told once."""
        try:
            self._inserter.insert(table.name, landing.query, partial(batch.file, landing.container_header))
        except PoisonError as error:
            if whole:
                log.warning("a record cannot land", table=table.name, among=batch.rows, schema_id=batch.schema_id, reason=str(error))
            if batch.rows > 1:
                for half in batch.halves():
                    self._insert(table, generation, landing, half, whole=False)
                return
            self._set_aside(table, generation, list(batch.records()), error)
        else:
            metrics.LANDED_ROWS.labels(table.name).inc(batch.rows)
            metrics.LANDED_BYTES.labels(table.name).inc(batch.size)
            _tell_freshness(table, landing, batch)

    def land_tombstones(self, table: Table, generation: int, tombstones: Sequence[tuple[int, int, bytes]]) -> None:
        """(partition, offset, key) of each. Debezium's tombstone tells nothing that the delete before it did not; a job sends no other."""
        if not isinstance(table.source, Computed):
            return
        rows = ({"_partition": p, "_offset": o, "key": key.decode(errors="replace")} for p, o, key in tombstones)
        body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        self._inserter.insert(table.name, tombstone_query(table, generation), lambda: (body,))
        metrics.LANDED_ROWS.labels(table.name).inc(len(tombstones))

    def land_odd(self, table: Table, generation: int, partition: int, offset: int, value: bytes, reason: str) -> None:
        """After a truncate the shard's table needs a verification; any other record becomes a dead letter."""
        shard = self._truncated((topic_of(table), generation), value)
        if shard is None:
            self._set_aside(table, generation, [(partition, offset, value)], PoisonError(reason))
            return
        place = f"{topic_of(table)}[{partition}]@{offset}"
        reason = f"the source truncated the table, see {place}: its old rows still exist here"
        set_condition(self._control, table.name, shard, NEEDS_VERIFICATION, reason)
        log.warning("table truncated in the source", table=table.name, shard=shard, place=place, remedy="switchboard verify --repair")

    def _truncated(self, made: Made, value: bytes) -> str | None:
        identity = confluent.schema_id(value)
        try:
            record = None if identity is None else decoded(parsed(json.loads(self._book.text(made, identity))), value)
        except PoisonError:
            return None
        return None if record is None else truncated_shard(record)

    def _set_aside(self, table: Table, generation: int, records: Sequence[tuple[int, int, bytes]], reason: PoisonError) -> None:
        """(partition, offset, value) of each."""
        if not isinstance(reason, DiscardedError):
            self._gauge.count(table.name, len(records), str(reason))
        self._letters.put(topic_of(table), generation, records, str(reason))
        metrics.DEAD_LETTERS.labels(table.name).inc(len(records))


def _tell_freshness(table: Table, landing: Landing, batch: Batch) -> None:
    """By the batch's last record, the one that is decoded; several batches of a table may land at once, and the newest counts."""
    record = decoded(landing.schema, batch.parts[-2])
    if record is not None:
        NEWEST[table.name] = max(NEWEST.get(table.name, 0.0), committed_at(record))
        metrics.LANDED_COMMIT.labels(table.name).set(NEWEST[table.name])
