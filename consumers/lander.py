"""The lander: Kafka -> ClickHouse for every table of a catalog.

One thread fetches and encodes, others insert.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumers.backpressure import Backpressure
from consumers.batch_writer import BatchWriter, DeadLetterRateLimiter
from consumers.clickhouse_writer import ClickHouseWriter, UnfitTableError
from consumers.dead_letters import DeadLetterWriter
from consumers.decisions import decisions
from consumers.generations import bound
from consumers.held_tables import TRANSIENT, HeldTables, error_line
from consumers.insert_pool import InsertPool
from consumers.offset_commit import commit_ready
from consumers.offsets import OffsetTracker
from consumers.pending import Pending, runs
from consumers.schema_cache import SchemaCache, WidenTable
from consumers.source_columns import SourceHistory
from consumers.start_offsets import StartOffsetResolver
from core import logging, metrics
from core.clients.kafka import IDLE_WAIT_MILLISECONDS, consumer
from core.clients.registry import Registry
from core.clients.topic_identity import TopicDescriber, TopicIdentity
from core.clock import Clock, monotonic
from core.control import ControlDatabase
from core.errors import ContractError, StoppedError, TransientError
from core.settings import Endpoints, LandingSettings
from schemas.catalog import Catalog
from schemas.names import topic_of

FETCH = 1_000
"""Messages of one fetch: few enough to stay in the processor's caches until they are encoded."""
COMMIT_SECONDS = 0.2
QUICK_SECONDS = 1.0
"""For this long a failed call is retried at once; then the table is held, and its thread is free for others.
"""
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
    """Lands every table of a catalog until `stopping` returns true. Not thread-safe; `run` blocks."""

    def __init__(
        self,
        endpoints: Endpoints,
        settings: LandingSettings,
        catalog: Catalog,
        control: ControlDatabase,
        widen: WidenTable,
        stopping: Callable[[], bool],
        landed: Callable[[], Catalog] | None = None,
        clock: Clock = monotonic,
    ) -> None:
        """`landed`, called every `check_seconds`, returns the current catalog; `catalog` is its first one."""
        self._settings = settings
        self._clock = clock
        self._landed = landed or (lambda: catalog)
        self._stopping = stopping
        self._control = control
        self._tables = {topic_of(table): table for table in catalog}
        self._decided = decisions(control, self._tables)
        self._generations: dict[str, int] = {}
        self._identities: dict[str, TopicIdentity] = {}
        """Identities bound to `_generations`, cached as a binding never changes and each lookup costs a
        query."""
        self._assigned: set[tuple[str, int]] = set()
        """(topic, partition). Kept here because librdkafka may refuse `assignment()` while the consumer
        closes."""
        self._held = HeldTables(settings.retry_seconds)
        self._pending: dict[str, Pending] = {}
        self._offsets = OffsetTracker()
        self._backpressure = Backpressure(settings)
        self._describer = TopicDescriber(endpoints.kafka, stopping)
        self._start_offsets = StartOffsetResolver(self._describer, control)
        session = round(settings.session_seconds * 1000)
        derived = {
            "session.timeout.ms": session,
            "heartbeat.interval.ms": session // 5,
            # A recreated topic is fetched once the metadata lists it; the default interval is 5 minutes.
            "topic.metadata.refresh.interval.ms": round(settings.check_seconds * 2000),
        }
        self._consumer: Consumer = consumer(endpoints.kafka, settings.group, **GROUP, **derived)
        history = SourceHistory(endpoints.kafka, [server.name for server in endpoints.mysql])
        self._schemas = SchemaCache(
            Registry(endpoints.registry, QUICK_SECONDS, stopping), control, widen, history
        )
        self._limiter = DeadLetterRateLimiter(settings)
        self._pool = InsertPool(
            [
                BatchWriter(
                    ClickHouseWriter(endpoints.clickhouse, QUICK_SECONDS, stopping),
                    DeadLetterWriter(endpoints.kafka),
                    self._schemas,
                    self._limiter,
                    control,
                )
                for _ in range(settings.inserters)
            ]
        )

    def run(self) -> None:
        """Blocks until `stopping`, then lands and commits the batches in progress.

        Raises errors that concern every table.
        """
        self._subscribe()
        # messages are tracked but never in a cycle: collections take a fifth of the time by default
        gc.set_threshold(100_000, 20, 20)
        log.info("landing", topics=len(self._tables), group=self._settings.group)
        committed = checked = self._clock()
        try:
            while not self._stopping():
                self._take(self._consumer.consume(FETCH, self._settings.linger_seconds / 4))
                self._hand_over(force=False)
                self._collect(wait=False)
                self._balance()
                self._resume_due()
                now = self._clock()
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
            self._pool.abandon()
            raise
        finally:
            self._consumer.close()
            self._describer.close()
            self._pool.close()
            log.info("stopped landing")

    def _take(self, messages: list[Message]) -> None:
        for run in runs(messages):
            topic, partition, error = str(run[0].topic()), run[0].partition(), run[0].error()
            if error is not None:
                for event in run:
                    self._event(error, event)
            elif topic in self._tables and topic not in self._held:
                pending = self._pending.get(topic)
                if pending is None:
                    pending = self._pending[topic] = Pending(topic, self._generations[topic], self._clock())
                last = pending.take(int(partition or 0), run)
                pending.spans.append(self._offsets.begin((topic, int(partition or 0)), last + 1))

    def _event(self, error: KafkaError, message: Message) -> None:
        topic, partition, offset = str(message.topic()), message.partition(), message.offset()
        if error.code() == KafkaError._PARTITION_EOF:
            # Control records, which no consumer receives, may end the log: the commit must pass them too.
            if (
                topic in self._generations
                and topic not in self._held
                and offset is not None
                and partition is not None
            ):
                self._offsets.reached((topic, partition), offset)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            what = f"{topic}[{partition}]: the records after the committed offset have expired: {error.str()}"
            self._stop(
                topic,
                StoppedError(
                    what, "run `switchboard apply`, then `switchboard verify --repair` for the table"
                ),
            )
        elif error.code() in (
            KafkaError.UNKNOWN_TOPIC_OR_PART,
            KafkaError._UNKNOWN_TOPIC,
            KafkaError.UNKNOWN_TOPIC_ID,
        ):
            log.warning("topic is missing", topic=topic, error=error.str())
        else:
            log.warning("kafka", topic=topic, partition=partition, error=error.str())

    def _hand_over(self, *, force: bool) -> None:
        """Hands batches that are old or large enough to idle writers."""
        now, settings = self._clock(), self._settings
        for topic, pending in list(self._pending.items()):
            ripe = now - pending.since >= settings.linger_seconds or pending.rows >= settings.batch_rows
            if self._pool.has_idle_writer and (ripe or force or pending.size >= settings.batch_bytes):
                del self._pending[topic]
                self._pool.submit(self._tables[topic], pending)

    def _collect(self, *, wait: bool) -> None:
        """Marks landed spans as done, and holds the tables whose batches failed."""
        for pending, error in self._pool.collect(wait=wait):
            if isinstance(error, StoppedError):
                self._stop(pending.topic, error)
            elif isinstance(error, TRANSIENT):
                self._wait(pending.topic, error)
            elif error is not None:
                raise error
            else:
                for span in pending.spans:
                    span.done = True
                if self._held.landed(pending.topic):
                    metrics.WAITING_TABLES.labels(self._tables[pending.topic].name).set(0)

    def _stop(self, topic: str, error: StoppedError) -> None:
        """Holds the table, uncommitted, until an operator decides about it.

        Raises the error once every table is stopped.
        """
        if topic in self._held.stopped:
            return
        self._held.stop(topic)
        self._hold(topic)
        table = self._tables[topic]
        metrics.STOPPED_TABLES.labels(table.name).set(1)
        metrics.WAITING_TABLES.labels(table.name).set(0)
        log.error("table stopped", table=table.name, reason=error.what, remedy=error.remedy)
        if self._held.stopped >= self._tables.keys():
            raise error

    def _wait(self, topic: str, error: Exception) -> None:
        """Holds the table, uncommitted, until its next retry."""
        if topic in self._held.stopped:
            return
        table = self._tables[topic]
        if isinstance(error, UnfitTableError):
            self._schemas.forget([topic])
        try:
            seconds = self._held.wait(topic, error)
        except StoppedError as final:
            self._stop(topic, final)
            return
        self._hold(topic)
        if self._stopping():
            return  # its request was broken off, which says nothing about the table
        metrics.WAITING_TABLES.labels(table.name).set(1)
        metrics.INSERT_RETRIES.labels(table.name).inc()
        log.warning(
            "table waits",
            table=table.name,
            seconds=seconds,
            reason=error_line(error),
            remedy=getattr(error, "remedy", ""),
        )

    def _hold(self, topic: str) -> None:
        self._pending.pop(topic, None)
        owned = self._partitions_of([topic])
        self._consumer.pause(owned)
        for partition in owned:
            self._offsets.forget((topic, partition.partition))

    def _partitions_of(self, topics: Iterable[str]) -> list[TopicPartition]:
        wanted = set(topics)
        return [
            TopicPartition(topic, partition) for topic, partition in sorted(self._assigned) if topic in wanted
        ]

    def _resume_due(self) -> None:
        """Resumes tables that are due from their committed offsets, as a restarted lander would."""
        due = self._held.due()
        if not due:
            return
        self._commit()
        partitions = self._partitions_of(due)
        start = self._start_offsets.resolve(self._consumer, partitions)
        self._generations |= start.generations
        for topic in due - start.failed.keys():
            self._held.resume(topic)
            metrics.STOPPED_TABLES.labels(self._tables[topic].name).set(0)
            metrics.WAITING_TABLES.labels(self._tables[topic].name).set(topic in start.generations)
        try:
            # Not a seek: it is refused for a partition whose records have expired, as that error ended its
            # fetching.
            self._consumer.incremental_unassign(start.partitions)
        except KafkaException as error:  # a partition that was just assigned or revoked
            start.failed |= dict.fromkeys(due - start.failed.keys(), error)
        else:
            self._consumer.incremental_assign(start.partitions)
            paused = self._backpressure.paused
            self._consumer.resume(
                [partition for partition in start.partitions if partition.topic not in paused]
            )
        self._failed(start.failed)

    def _failed(self, failed: dict[str, Exception]) -> None:
        for topic, error in failed.items():
            if isinstance(error, StoppedError):
                self._stop(topic, error)
            else:
                self._wait(topic, error)

    def _balance(self) -> None:
        """Pauses fetching of topics with much in memory, and of all topics while memory is full; group
        membership continues."""
        pause, resume = self._backpressure.update(self._tables, self._pending, self._pool.running)
        if pause:
            self._consumer.pause(self._partitions_of(pause))
        if resume:
            self._consumer.resume(self._partitions_of(topic for topic in resume if topic not in self._held))

    def _commit(self) -> None:
        commit_ready(self._consumer, self._offsets, self._generations)

    def _finish(self) -> None:
        """Lands and commits what is in memory, except of held tables."""
        while self._pending or self._pool.running:
            self._hand_over(force=True)
            self._collect(wait=True)
        self._commit()

    def _subscribe(self) -> None:
        self._consumer.subscribe(
            list(self._tables), on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lost
        )

    def _check_decisions(self) -> None:
        """Follows tables that a backfill adds or removes and that `apply` changes; the others are landed as
        before."""
        try:
            wanted = {topic_of(table): table for table in self._landed()}
            decided = decisions(self._control, wanted)
        except (*TRANSIENT, ContractError) as error:
            log.warning("the tables to land cannot be read", error=error_line(error))
            return
        before = self._tables
        changed = {
            topic
            for topic, table in wanted.items()
            if (table, decided[topic]) != (before.get(topic), self._decided.get(topic))
        }
        if not changed and wanted.keys() == before.keys():
            return
        log.info("tables change", tables=sorted(changed), removed=sorted(before.keys() - wanted.keys()))
        self._finish()
        self._tables, self._decided = wanted, decided
        self._held.keep(wanted)
        self._schemas.forget(changed)
        self._held.retry_now(changed & before.keys())
        for topic in changed:
            self._limiter.forget(wanted[topic].name)
        if wanted.keys() != before.keys():
            self._subscribe()

    def _check_identities(self) -> None:
        owned = sorted({topic for topic, _ in self._assigned if topic not in self._held})
        try:
            for topic, identity in self._describer.identities(owned).items():
                self._check_generation(topic, identity)
        except TRANSIENT as error:
            log.warning("topics cannot be described", error=error_line(error))

    def _check_generation(self, topic: str, identity: TopicIdentity) -> None:
        if self._identities.get(topic) == identity:
            return
        try:
            if bound(self._control, topic, identity) != self._generations[topic]:
                self._wait(topic, TransientError(f"topic {topic} was recreated: its table restarts"))
            else:
                self._identities[topic] = identity
        except StoppedError as error:
            self._stop(topic, error)

    def _assign(self, group: Consumer, partitions: list[TopicPartition]) -> None:
        """Never raises: a table without known start offsets is held."""
        start = self._start_offsets.resolve(
            group, [partition for partition in partitions if partition.topic not in self._held]
        )
        for topic, generation in start.generations.items():
            if self._generations.setdefault(topic, generation) != generation:
                start.failed[topic] = TransientError(f"topic {topic} was recreated: its table restarts")
        started = {(partition.topic, partition.partition) for partition in start.partitions}
        rest = [
            TopicPartition(partition.topic, partition.partition, OFFSET_END)
            for partition in partitions
            if (partition.topic, partition.partition) not in started
        ]
        group.incremental_assign([*start.partitions, *rest])
        self._assigned |= {(partition.topic, partition.partition) for partition in partitions}
        idle = [
            partition
            for partition in partitions
            if partition.topic in self._held or partition.topic in self._backpressure.paused
        ]
        if idle:
            group.pause(idle)
        self._failed(start.failed)
        log.info("assigned", partitions=len(partitions))

    def _revoke(self, group: Consumer, partitions: list[TopicPartition]) -> None:
        self._finish()
        self._lost(group, partitions)

    def _lost(self, group: Consumer, partitions: list[TopicPartition]) -> None:
        """Forgets partitions that another process has now; records in progress land twice, which changes
        nothing."""
        for partition in partitions:
            self._offsets.forget((partition.topic, partition.partition))
            self._assigned.discard((partition.topic, partition.partition))
        group.incremental_unassign(partitions)
        kept = {topic for topic, _ in self._assigned}
        self._pending = {topic: pending for topic, pending in self._pending.items() if topic in kept}
        log.info("revoked", partitions=len(partitions))
