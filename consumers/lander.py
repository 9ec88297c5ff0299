"""The lander: Kafka -> ClickHouse for every table of a catalog. One thread fetches and encodes, others insert."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumers.beginnings import Beginnings
from consumers.deadletters import DeadLetterWriter
from consumers.decisions import decisions
from consumers.dropped import SourceHistory
from consumers.generations import bound
from consumers.insert import Inserter, UnfitTableError
from consumers.land import BatchLander, PoisonGauge
from consumers.offsets import OffsetTracker
from consumers.pending import Pending, runs
from consumers.schemas import PrepareTable, SchemaBook
from consumers.standstill import PASSING, Standstills, said
from core import logging, metrics
from core.clients.kafka import IDLE_WAIT_MILLISECONDS, consumer
from core.clients.registry import Registry
from core.clients.topic_identity import TopicDescriber, TopicIdentity
from core.control import ControlDatabase
from core.errors import ContractError, StoppedError, TransientError
from core.settings import Endpoints, LandingSettings
from schemas.catalog import Catalog
from schemas.names import topic_of
from schemas.table import Table

FETCH = 1_000
"""Few enough that the messages stay in the processor's caches from their making to their end."""
COMMIT_SECONDS = 0.2
QUICK_SECONDS = 1.0
"""For so long a server that is away is tried again on the spot; then the table stands still, and its thread is free for others."""
GROUP = {
    "partition.assignment.strategy": "cooperative-sticky",
    "enable.partition.eof": True,
    "fetch.wait.max.ms": IDLE_WAIT_MILLISECONDS,
    "fetch.queue.backoff.ms": 50,
    "queued.max.messages.kbytes": 16 << 10,
    "fetch.message.max.bytes": 2 << 20,
}

log = logging.get("lander")


class Lander:
    """Lands until `stopping` says so. Not thread-safe; `run` blocks."""

    def __init__(
        self,
        endpoints: Endpoints,
        settings: LandingSettings,
        catalog: Catalog,
        control: ControlDatabase,
        prepare: PrepareTable,
        stopping: Callable[[], bool],
        landed: Callable[[], Catalog] | None = None,
    ) -> None:
        """`landed` is asked every few seconds which tables there are by now, and how; `catalog` is what it told first."""
        self._settings = settings
        self._landed = landed or (lambda: catalog)
        self._stopping = stopping
        self._control = control
        self._tables = {topic_of(table): table for table in catalog}
        self._decided = decisions(control, self._tables)
        self._generations: dict[str, int] = {}
        self._identities: dict[str, TopicIdentity] = {}
        """Those that are bound to `_generations`: a binding never changes, and each question costs a query."""
        self._assigned: set[tuple[str, int]] = set()
        """(topic, partition). Kept here because librdkafka may refuse `assignment()` while the consumer closes."""
        self._still = Standstills(settings.retry_seconds)
        self._pending: dict[str, Pending] = {}
        self._running: dict[Future[None], Pending] = {}
        self._offsets = OffsetTracker()
        self._paused: set[str] = set()
        """Topics of which enough is in hand."""
        self._brimful = False
        self._describer = TopicDescriber(endpoints.kafka, stopping)
        self._beginnings = Beginnings(self._describer, control)
        session = round(settings.session_seconds * 1000)
        lasting = {
            "session.timeout.ms": session,
            "heartbeat.interval.ms": session // 5,
            # A topic that was deleted and created again is read on as soon as the metadata names it; the default is 5 minutes.
            "topic.metadata.refresh.interval.ms": round(settings.check_seconds * 2000),
        }
        self._consumer: Consumer = consumer(endpoints.kafka, settings.group, **GROUP, **lasting)
        history = SourceHistory(endpoints.kafka, [server.name for server in endpoints.mysql])
        self._book = SchemaBook(Registry(endpoints.registry, QUICK_SECONDS, stopping), control, prepare, history)
        self._gauge = PoisonGauge(settings)
        self._pool = ThreadPoolExecutor(settings.inserters, "insert")
        self._idle = [
            BatchLander(
                Inserter(endpoints.clickhouse, QUICK_SECONDS, stopping), DeadLetterWriter(endpoints.kafka), self._book, self._gauge, control
            )
            for _ in range(settings.inserters)
        ]

    def run(self) -> None:
        """Lands until told to stop, then finishes what is in hand and commits it. Raises what concerns every table."""
        self._subscribe()
        gc.set_threshold(100_000, 20, 20)  # messages are tracked and never in a cycle: by default a fifth of the time goes there
        log.info("landing", topics=len(self._tables), group=self._settings.group)
        committed = checked = time.monotonic()
        try:
            while not self._stopping():
                self._take(self._consumer.consume(FETCH, self._settings.linger_seconds / 4))
                self._hand_over(force=False)
                self._collect(wait=False)
                self._balance()
                self._go_on()
                now = time.monotonic()
                if now - committed > COMMIT_SECONDS:
                    self._commit()
                    committed = now
                if now - checked > self._settings.check_seconds:
                    self._check_identities()
                    self._check_decisions()
                    checked = now
            self._finish()
        except BaseException:
            self._pending.clear()
            self._running.clear()
            raise
        finally:
            self._consumer.close()
            self._describer.close()
            self._pool.shutdown(cancel_futures=True)
            log.info("stopped landing")

    def _take(self, messages: list[Message]) -> None:
        for run in runs(messages):
            topic, partition, error = str(run[0].topic()), run[0].partition(), run[0].error()
            if error is not None:
                for event in run:
                    self._event(error, event)
            elif topic in self._tables and topic not in self._still:
                pending = self._pending.get(topic)
                if pending is None:
                    pending = self._pending[topic] = Pending(topic, self._generations[topic], time.monotonic())
                last = pending.take(int(partition or 0), run)
                pending.spans.append(self._offsets.begin((topic, int(partition or 0)), last + 1))

    def _event(self, error: KafkaError, message: Message) -> None:
        topic, partition, offset = str(message.topic()), message.partition(), message.offset()
        if error.code() == KafkaError._PARTITION_EOF:
            # The log's end stands behind control records, which nobody is handed: the commit must pass them too.
            if topic in self._generations and topic not in self._still and offset is not None and partition is not None:
                self._offsets.reached((topic, partition), offset)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            what = f"{topic}[{partition}]: the records after the committed offset are gone: {error.str()}"
            self._stop(topic, StoppedError(what, "run `switchboard apply`, then `switchboard verify --repair` for the table"))
        elif error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_ID):
            log.warning("topic is missing", topic=topic, error=error.str())
        else:
            log.warning("kafka", topic=topic, partition=partition, error=error.str())

    def _hand_over(self, *, force: bool) -> None:
        """Gives ripe batches to idle inserters."""
        now, settings = time.monotonic(), self._settings
        for topic, pending in list(self._pending.items()):
            ripe = now - pending.since >= settings.linger_seconds or pending.rows >= settings.batch_rows
            if self._idle and (ripe or force or pending.size >= settings.batch_bytes):
                del self._pending[topic]
                worker = self._idle.pop()
                future = self._pool.submit(self._land, worker, self._tables[topic], pending)
                self._running[future] = pending
                future.add_done_callback(partial(self._release, worker))

    def _release(self, worker: BatchLander, _: Future[None]) -> None:
        self._idle.append(worker)

    @staticmethod
    def _land(worker: BatchLander, table: Table, pending: Pending) -> None:
        for batch in pending.batches.values():
            worker.load_schema(table, pending.generation, batch)
        for batch in pending.batches.values():
            worker.land(table, pending.generation, batch)
        if pending.tombstones:
            worker.land_tombstones(table, pending.generation, pending.tombstones)
        for partition, offset, value, reason in pending.odd:
            worker.land_odd(table, pending.generation, partition, offset, value, reason)

    def _collect(self, *, wait: bool) -> None:
        """Marks what has landed; what has not makes its table stand still, or all of them if it is no table's own cause."""
        for future in list(self._running):
            if not (wait or future.done()):
                continue
            pending = self._running.pop(future)
            try:
                future.result()
            except StoppedError as error:
                self._stop(pending.topic, error)
            except PASSING as error:
                self._wait(pending.topic, error)
            else:
                for span in pending.spans:
                    span.done = True
                if self._still.landed(pending.topic):
                    metrics.WAITING_TABLES.labels(self._tables[pending.topic].name).set(0)

    def _stop(self, topic: str, error: StoppedError) -> None:
        """This table stands still, uncommitted, until somebody has decided something about it; the others go on."""
        if topic in self._still.stopped:
            return
        self._still.stop(topic)
        self._stand_still(topic)
        table = self._tables[topic]
        metrics.STOPPED_TABLES.labels(table.name).set(1)
        metrics.WAITING_TABLES.labels(table.name).set(0)
        log.error("table stopped", table=table.name, reason=error.what, remedy=error.remedy)
        if self._still.stopped >= self._tables.keys():
            raise error

    def _wait(self, topic: str, error: Exception) -> None:
        """This table stands still, uncommitted, and is tried again by itself; the others go on."""
        if topic in self._still.stopped:
            return
        table = self._tables[topic]
        if isinstance(error, UnfitTableError):
            self._book.forget([topic])
        try:
            seconds = self._still.wait(topic, error)
        except StoppedError as final:
            self._stop(topic, final)
            return
        self._stand_still(topic)
        metrics.WAITING_TABLES.labels(table.name).set(1)
        metrics.INSERT_RETRIES.labels(table.name).inc()
        log.warning("table waits", table=table.name, seconds=seconds, reason=said(error), remedy=getattr(error, "remedy", ""))

    def _stand_still(self, topic: str) -> None:
        self._pending.pop(topic, None)
        mine = self._places([topic])
        self._consumer.pause(mine)
        for place in mine:
            self._offsets.forget((topic, place.partition))

    def _places(self, topics: Iterable[str]) -> list[TopicPartition]:
        wanted = set(topics)
        return [TopicPartition(topic, partition) for topic, partition in sorted(self._assigned) if topic in wanted]

    def _go_on(self) -> None:
        """Tables whose time has come begin again at what was committed, as if the lander were started anew for them."""
        due = self._still.due()
        if not due:
            return
        self._commit()
        places = self._places(due)
        found = self._beginnings.of(self._consumer, places)
        self._generations |= found.generations
        for topic in due - found.failed.keys():
            self._still.go_on(topic)
            metrics.STOPPED_TABLES.labels(self._tables[topic].name).set(0)
            metrics.WAITING_TABLES.labels(self._tables[topic].name).set(topic in found.generations)
        try:
            # Not a seek: it is refused for a partition whose records are gone, as its fetching has ended with that error.
            self._consumer.incremental_unassign(found.places)
        except KafkaException as error:  # a partition that has just come or gone
            found.failed |= dict.fromkeys(due - found.failed.keys(), error)
        else:
            self._consumer.incremental_assign(found.places)
            self._consumer.resume([place for place in found.places if place.topic not in self._paused])
        self._failed(found.failed)

    def _failed(self, failed: dict[str, Exception]) -> None:
        for topic, error in failed.items():
            if isinstance(error, StoppedError):
                self._stop(topic, error)
            else:
                self._wait(topic, error)

    def _balance(self) -> None:
        """Fetching pauses for topics of which much waits, and for all while much is in hand in all; membership goes on."""
        limit = self._settings.memory_bytes
        in_hand = sum(pending.size for pending in (*self._pending.values(), *self._running.values()))
        metrics.PENDING_BYTES.set(in_hand)
        self._brimful = in_hand >= (limit // 2 if self._brimful else limit)
        full = set(self._tables) if self._brimful else {topic for topic, pending in self._pending.items() if self._is_full(pending)}
        if full - self._paused:
            self._consumer.pause(self._places(full - self._paused))
        if self._paused - full:
            self._consumer.resume(self._places(topic for topic in self._paused - full if topic not in self._still))
        self._paused = full

    def _is_full(self, pending: Pending) -> bool:
        rows, size = 2 * self._settings.batch_rows, 2 * self._settings.batch_bytes
        return pending.topic in self._paused or pending.rows >= rows or pending.size >= size

    def _commit(self) -> None:
        """Tells Kafka what has landed; what it does not take is told with the next."""
        ready = self._offsets.take_ready()
        if not ready:
            return
        places = [
            TopicPartition(topic, partition, offset, metadata=str(self._generations[topic])) for (topic, partition), offset in ready.items()
        ]
        try:
            answered = self._consumer.commit(offsets=places, asynchronous=False) or []
            failed = {(place.topic, place.partition): str(place.error) for place in answered if place.error is not None}
        except KafkaException as error:
            failed = dict.fromkeys(ready, said(error))
        for place in failed:
            self._offsets.put_back(place, ready[place])
        if failed:
            log.warning("commit failed; it is tried again", partitions=len(failed), error=next(iter(failed.values())))
        for topic, partition in ready.keys() - failed.keys():
            metrics.COMMITTED_OFFSET.labels(topic, str(partition)).set(ready[topic, partition])

    def _finish(self) -> None:
        """Lands what is in hand, as far as it can land now, and commits it."""
        while self._pending or self._running:
            self._hand_over(force=True)
            self._collect(wait=True)
        self._commit()

    def _subscribe(self) -> None:
        self._consumer.subscribe(list(self._tables), on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lost)

    def _check_decisions(self) -> None:
        """Tables come and go with a backfill's generations, and change with `apply`; the others are landed meanwhile as before."""
        try:
            wanted = {topic_of(table): table for table in self._landed()}
            decided = decisions(self._control, wanted)
        except (*PASSING, ContractError) as error:
            log.warning("it is not told which tables there are", error=said(error))
            return
        before = self._tables
        changed = {topic for topic, table in wanted.items() if (table, decided[topic]) != (before.get(topic), self._decided.get(topic))}
        if not changed and wanted.keys() == before.keys():
            return
        log.info("tables change", tables=sorted(changed), go=sorted(before.keys() - wanted.keys()))
        self._finish()
        self._tables, self._decided = wanted, decided
        self._still.keep(wanted)
        self._book.forget(changed)
        self._still.decided(changed & before.keys())
        for topic in changed:
            self._gauge.forget(wanted[topic].name)
        if wanted.keys() != before.keys():
            self._subscribe()

    def _check_identities(self) -> None:
        mine = sorted({topic for topic, _ in self._assigned if topic not in self._still})
        try:
            for topic, identity in self._describer.identities(mine).items():
                self._check_generation(topic, identity)
        except PASSING as error:
            log.warning("topics cannot be described", error=said(error))

    def _check_generation(self, topic: str, identity: TopicIdentity) -> None:
        if self._identities.get(topic) == identity:
            return
        try:
            if bound(self._control, topic, identity) != self._generations[topic]:
                self._wait(topic, TransientError(f"topic {topic} was made anew: its table begins again"))
            else:
                self._identities[topic] = identity
        except StoppedError as error:
            self._stop(topic, error)

    def _assign(self, group: Consumer, places: list[TopicPartition]) -> None:
        """Never fails: a table of which it is not known where to begin stands still."""
        found = self._beginnings.of(group, [place for place in places if place.topic not in self._still])
        for topic, generation in found.generations.items():
            if self._generations.setdefault(topic, generation) != generation:
                found.failed[topic] = TransientError(f"topic {topic} was made anew: its table begins again")
        begun = {(place.topic, place.partition) for place in found.places}
        rest = [TopicPartition(place.topic, place.partition, OFFSET_END) for place in places if (place.topic, place.partition) not in begun]
        group.incremental_assign([*found.places, *rest])
        self._assigned |= {(place.topic, place.partition) for place in places}
        idle = [place for place in places if place.topic in self._still or place.topic in self._paused]
        if idle:
            group.pause(idle)
        self._failed(found.failed)
        log.info("assigned", partitions=len(places))

    def _revoke(self, group: Consumer, places: list[TopicPartition]) -> None:
        self._finish()
        self._lost(group, places)

    def _lost(self, group: Consumer, places: list[TopicPartition]) -> None:
        """Another process has these partitions; what is in hand of them lands twice, which changes nothing."""
        for place in places:
            self._offsets.forget((place.topic, place.partition))
            self._assigned.discard((place.topic, place.partition))
        group.incremental_unassign(places)
        kept = {topic for topic, _ in self._assigned}
        self._pending = {topic: pending for topic, pending in self._pending.items() if topic in kept}
        log.info("revoked", partitions=len(places))
