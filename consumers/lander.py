"""The lander: Kafka -> ClickHouse for every table of a catalog. One thread fetches and encodes, others insert."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import itemgetter, truth
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from sqlalchemy.exc import SQLAlchemyError

from consumers.batch import Batch
from consumers.deadletters import DeadLetterWriter
from consumers.generations import bound, identities
from consumers.insert import Inserter
from consumers.land import BatchLander, PoisonGauge
from consumers.offsets import OffsetTracker, Span
from consumers.schemas import AddColumns, SchemaBook
from core import logging, metrics
from core.clients.kafka import admin, consumer
from core.clients.registry import Registry
from core.control import ControlDatabase
from core.errors import StoppedError, SwitchboardError
from core.settings import Endpoints, LandingSettings
from core.wire.confluent import HEADER_SIZE
from schemas.catalog import Catalog
from schemas.names import topic_of
from schemas.table import Table

FETCH = 1_000
"""Few enough that the messages stay in the processor's caches from their making to their end."""
COMMIT_SECONDS = 0.2
IDENTITY_SECONDS = 5.0

log = logging.get("lander")


@dataclass
class Pending:
    """What waits to be handed over, of one topic: a batch for each schema met, and the spans they cover."""

    since: float
    batches: dict[bytes, Batch] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    odd: list[tuple[int, int, bytes, str]] = field(default_factory=list)
    """Records that no batch can hold: (partition, offset, value, reason)."""
    tombstones: list[tuple[int, int, bytes]] = field(default_factory=list)
    """(partition, offset, key)."""

    def extend(self, topic: str, header: bytes, partition: int, offsets: Sequence[int], values: list[bytes]) -> None:
        batch = self.batches.get(header)
        if batch is None:
            batch = self.batches[header] = Batch(topic, header)
        batch.extend(partition, offsets, values)

    def add(self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None) -> None:
        """One record of whatever kind."""
        if value is None:
            self.tombstones.append((partition, offset, key or b""))
        elif key is None:
            self.odd.append((partition, offset, value, "a truncate or a record without key"))
        elif not _framed(value, [value]):
            self.odd.append((partition, offset, value, "not in Confluent framing"))
        else:
            self.extend(topic, value[:HEADER_SIZE], partition, [offset], [value])

    @property
    def rows(self) -> int:
        return sum(batch.rows for batch in self.batches.values())

    @property
    def size(self) -> int:
        return sum(batch.size for batch in self.batches.values())


_header = itemgetter(slice(HEADER_SIZE))


def _framed(header: bytes, values: list[bytes]) -> bool:
    return header[0] == 0 and min(map(len, values)) > HEADER_SIZE


def runs(messages: list[Message]) -> Iterator[list[Message]]:
    """The messages as they came, cut where the partition changes or an event comes: an event tells of what stands before it."""
    start = 0
    events = map(truth, map(Message.error, messages))
    for _, run in groupby(zip(map(Message.topic, messages), map(Message.partition, messages), events, strict=True)):
        end = start + len(list(run))
        yield messages[start:end]
        start = end


class Lander:
    """Lands until `stopping` says so. Not thread-safe; `run` blocks."""

    def __init__(
        self,
        endpoints: Endpoints,
        settings: LandingSettings,
        catalog: Catalog,
        control: ControlDatabase,
        add_columns: AddColumns,
        stopping: Callable[[], bool],
        landed: Callable[[], Catalog] | None = None,
    ) -> None:
        """`landed` is asked every few seconds which tables there are by now; `catalog` is what it told first."""
        self._settings = settings
        self._landed = landed or (lambda: catalog)
        self._stopping = stopping
        self._control = control
        self._tables = {topic_of(table): table for table in catalog}
        self._generations: dict[str, int] = {}
        self._stopped: set[str] = set()
        self._pending: dict[str, Pending] = {}
        self._running: dict[Future[None], tuple[str, list[Span]]] = {}
        self._offsets = OffsetTracker()
        self._admin = admin(endpoints.kafka)
        self._consumer: Consumer = consumer(
            endpoints.kafka,
            settings.group,
            **{
                "partition.assignment.strategy": "cooperative-sticky",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "fetch.queue.backoff.ms": 50,
                "queued.max.messages.kbytes": 16 << 10,
                "fetch.message.max.bytes": 2 << 20,
                "session.timeout.ms": 15_000,
            },
        )
        book = SchemaBook(Registry(endpoints.registry, settings.retry_seconds, stopping), control, add_columns)
        gauge = PoisonGauge(settings)
        self._pool = ThreadPoolExecutor(settings.inserters, "insert")
        self._landers = [
            BatchLander(
                Inserter(endpoints.clickhouse, settings.retry_seconds, stopping),
                DeadLetterWriter(endpoints.kafka),
                book,
                gauge,
                control,
            )
            for _ in range(settings.inserters)
        ]
        self._idle = list(self._landers)
        self._paused = False

    def run(self) -> None:
        """Lands until told to stop, then finishes what is in hand and commits it. Raises what a person has to mend."""
        self._subscribe()
        gc.set_threshold(100_000, 20, 20)  # messages are tracked and never in a cycle: by default a fifth of the time goes there
        log.info("landing", topics=len(self._tables), group=self._settings.group)
        committed = checked = time.monotonic()
        try:
            while not self._stopping():
                self._take(self._consumer.consume(FETCH, self._settings.linger_seconds / 4))
                self._hand_over(force=False)
                self._collect(wait=False)
                now = time.monotonic()
                if now - committed > COMMIT_SECONDS:
                    self._commit()
                    committed = now
                if now - checked > IDENTITY_SECONDS:
                    self._check_identities()
                    self._check_tables()
                    checked = now
            self._finish()
        except BaseException:
            self._pending.clear()
            self._running.clear()
            raise
        finally:
            self._consumer.close()
            self._pool.shutdown(cancel_futures=True)
            log.info("stopped landing")

    def _take(self, messages: list[Message]) -> None:
        for run in runs(messages):
            topic, partition, error = run[0].topic(), run[0].partition(), run[0].error()
            if error is not None:
                for event in run:
                    self._event(error, event)
            elif topic in self._tables and topic not in self._stopped:
                self._add(topic, int(partition or 0), run)

    def _event(self, error: KafkaError, message: Message) -> None:
        topic, partition, offset = str(message.topic()), message.partition(), message.offset()
        if error.code() == KafkaError._PARTITION_EOF:
            if topic in self._generations and topic not in self._stopped and offset is not None and partition is not None:
                self._reached(topic, partition, offset)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._stop(
                topic,
                StoppedError(
                    f"{topic}[{partition}]: the records after the committed offset are gone: {error.str()}",
                    "run `switchboard apply`, then `switchboard verify --repair` for the table",
                ),
            )
        elif error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_ID):
            log.warning("topic is missing", topic=topic, error=error.str())
        else:
            log.warning("kafka", topic=topic, partition=partition, error=error.str())

    def _reached(self, topic: str, partition: int, offset: int) -> None:
        """The log's end stands behind control records, which nobody is handed: the commit must pass them too."""
        pending = self._pending.get(topic)
        span = self._offsets.begin((topic, partition), offset)
        if pending is not None:
            pending.spans.append(span)
        else:
            span.done = True

    def _add(self, topic: str, partition: int, run: list[Message]) -> None:
        """Takes a run of one partition. What costs time here costs it for each record: hence no loop in Python."""
        pending = self._pending.get(topic)
        if pending is None:
            pending = self._pending[topic] = Pending(time.monotonic())
        first, last = int(run[0].offset() or 0), int(run[-1].offset() or 0)
        gapless = last - first + 1 == len(run)
        offsets = cast(Sequence[int], range(first, last + 1) if gapless else list(map(Message.offset, run)))
        values = cast(list[bytes], list(map(Message.value, run)))
        headers = set(map(_header, filter(None, values)))
        if len(headers) == 1 and all(values) and all(map(Message.key, run)) and _framed(header := headers.pop(), values):
            pending.extend(topic, header, partition, offsets, values)
        else:
            for offset, message in zip(offsets, run, strict=True):
                pending.add(topic, partition, offset, message.key(), message.value())
        pending.spans.append(self._offsets.begin((topic, partition), last + 1))

    def _hand_over(self, *, force: bool) -> None:
        """Gives ripe batches to idle inserters; while none is idle, fetching pauses but membership goes on."""
        now = time.monotonic()
        for topic, pending in list(self._pending.items()):
            ripe = now - pending.since >= self._settings.linger_seconds or pending.rows >= self._settings.batch_rows
            if not (ripe or force or pending.size >= self._settings.batch_bytes):
                continue
            if not self._idle:
                if pending.rows >= 2 * self._settings.batch_rows or pending.size >= 2 * self._settings.batch_bytes:
                    self._pause()
                continue
            del self._pending[topic]
            worker = self._idle.pop()
            future = self._pool.submit(self._land, worker, self._tables[topic], self._generations[topic], pending)
            self._running[future] = (topic, pending.spans)
            future.add_done_callback(partial(self._release, worker))

    def _release(self, worker: BatchLander, _: Future[None]) -> None:
        self._idle.append(worker)

    @staticmethod
    def _land(worker: BatchLander, table: Table, generation: int, pending: Pending) -> None:
        for batch in pending.batches.values():
            worker.land(table, generation, batch)
        if pending.tombstones:
            worker.land_tombstones(table, generation, pending.tombstones)
        for partition, offset, value, reason in pending.odd:
            worker.land_odd(table, generation, partition, offset, value, reason)

    def _collect(self, *, wait: bool) -> None:
        """Marks what has landed; stops the table, or the lander, whose batch has failed."""
        for future in list(self._running):
            if not (wait or future.done()):
                continue
            topic, spans = self._running.pop(future)
            try:
                future.result()
            except StoppedError as error:
                self._stop(topic, error)
                continue
            for span in spans:
                span.done = True
        if self._paused and self._idle:
            self._resume()

    def _stop(self, topic: str, error: SwitchboardError) -> None:
        """This table stands still, uncommitted; the others go on."""
        if topic in self._stopped:
            return
        self._stopped.add(topic)
        self._pending.pop(topic, None)
        mine = [place for place in self._consumer.assignment() if place.topic == topic]
        self._consumer.pause(mine)
        for place in mine:
            self._offsets.forget((topic, place.partition))
        table = self._tables[topic]
        metrics.STOPPED_TABLES.labels(table.name).set(1)
        log.error("table stopped", table=table.name, reason=error.what, remedy=error.remedy)
        if len(self._stopped) == len(self._tables):
            raise error

    def _pause(self) -> None:
        if not self._paused:
            self._consumer.pause(self._consumer.assignment())
            self._paused = True

    def _resume(self) -> None:
        self._consumer.resume([place for place in self._consumer.assignment() if place.topic not in self._stopped])
        self._paused = False

    def _commit(self) -> None:
        """Tells Kafka what has landed; another commit follows, so a lost one does no harm."""
        ready = self._offsets.take_ready()
        if not ready:
            return
        places = [
            TopicPartition(topic, partition, offset, metadata=str(self._generations[topic])) for (topic, partition), offset in ready.items()
        ]
        try:
            self._consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            log.warning("commit failed; the records will land again", error=str(error))
            return
        for place in places:
            metrics.COMMITTED_OFFSET.labels(place.topic, str(place.partition)).set(place.offset)

    def _finish(self) -> None:
        """Lands and commits all that was fetched."""
        while self._pending or self._running:
            self._hand_over(force=True)
            self._collect(wait=True)
        self._commit()

    def _subscribe(self) -> None:
        self._consumer.subscribe(list(self._tables), on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lost)

    def _check_tables(self) -> None:
        """A backfill's generation comes, and goes when it is dropped; the other topics are landed meanwhile as before."""
        try:
            wanted = {topic_of(table): table for table in self._landed()}
        except SQLAlchemyError as error:
            log.warning("the generations of results are not told", error=str(error.__cause__ or error))
            return
        if wanted.keys() == self._tables.keys():
            return
        log.info("topics change", come=sorted(wanted.keys() - self._tables.keys()), go=sorted(self._tables.keys() - wanted.keys()))
        self._finish()
        self._tables = wanted
        self._subscribe()

    def _check_identities(self) -> None:
        mine = {place.topic for place in self._consumer.assignment()} - self._stopped
        try:
            found = identities(self._admin, sorted(mine))
        except KafkaException as error:
            log.warning("topics cannot be described", error=str(error))
            return
        for topic, identity in found.items():
            try:
                if bound(self._control, topic, identity) != self._generations[topic]:
                    raise StoppedError(f"topic {topic} is another generation than when this lander began", "start the landers again")
            except StoppedError as error:
                self._stop(topic, error)

    def _assign(self, group: Consumer, places: list[TopicPartition]) -> None:
        """Begins at the committed offset, or at 0 in a topic that this group has never read in its present generation."""
        found = identities(self._admin, sorted({place.topic for place in places}))
        starts, stopped = [], []
        for place in group.committed(places, timeout=30):
            try:
                if place.topic not in found:
                    raise StoppedError(f"topic {place.topic} does not exist", "run `switchboard apply`")
                self._generations[place.topic] = bound(self._control, place.topic, found[place.topic])
            except StoppedError as error:
                stopped.append((place.topic, error))
            known = place.metadata in (None, "", str(self._generations.get(place.topic)))
            starts.append(TopicPartition(place.topic, place.partition, max(place.offset, 0) if known else 0))
        group.incremental_assign(starts)
        for topic, reason in stopped:
            self._stop(topic, reason)
        log.info("assigned", partitions=len(places))

    def _revoke(self, group: Consumer, places: list[TopicPartition]) -> None:
        self._finish()
        self._lost(group, places)

    def _lost(self, group: Consumer, places: list[TopicPartition]) -> None:
        """Another process has these partitions; what is in hand of them lands twice, which changes nothing."""
        for place in places:
            self._offsets.forget((place.topic, place.partition))
        group.incremental_unassign(places)
        log.info("revoked", partitions=len(places))
