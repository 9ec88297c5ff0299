"""Finds and ends hanging transactions: open in a partition, but unknown to Kafka's transaction coordinator.

No consumer of committed records reads anything behind such a transaction, and no timeout ends it (KIP-664).
Kafka leaves one when it crashes in traffic and again soon after (decision 33).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from confluent_kafka import IsolationLevel
from confluent_kafka.admin import AdminClient

from core import logging, metrics
from core.clients.kafka import LATEST, admin, answering, partition_offsets, producer
from core.clock import Clock, monotonic
from core.errors import SwitchboardError, TransientError
from core.settings import Endpoints, KafkaEndpoint
from core.waiting import wait_until
from schemas.catalog import Catalog
from schemas.names import topic_of
from schemas.render.connect import connector_name, internal_topics

POLL_SECONDS = 5.0
UNAVAILABLE_SECONDS = 60.0
"""Interval of warnings while Kafka is unavailable."""
REPEAT_SECONDS = 600.0
"""Interval of attempts to end a transaction that none of the connectors' ids ended."""
KAFKA_SECONDS = 15.0
"""Time limit of each request to Kafka."""
MARKER_SECONDS = 5.0
"""Kafka writes the abort markers after it has answered the abort."""
ABORTED_KEY = b'"switchboard: ends a hanging transaction"'
"""A key is required by the offset topic, which is compacted."""

log = logging.get("connectors")

Partition = tuple[str, int]
"""(topic, partition)"""


class OpenTransactions:
    """Tracks how long each partition's oldest open transaction has been open."""

    def __init__(self) -> None:
        self._first_seen: dict[Partition, tuple[int, float]] = {}

    def observe(
        self, ends: Mapping[Partition, int], stable: Mapping[Partition, int], now: float
    ) -> dict[Partition, float]:
        """Returns partition -> seconds since its oldest open transaction was first observed.

        `ends` and `stable` are end offsets for readers of uncommitted and of committed records. A transaction
        is identified by its first offset, which is the stable end while it is open.
        """
        opened: dict[Partition, tuple[int, float]] = {}
        for partition, offset in stable.items():
            if offset < ends.get(partition, offset):
                known_offset, since = self._first_seen.get(partition, (offset, now))
                opened[partition] = (offset, since if known_offset == offset else now)
        self._first_seen = opened
        return {partition: now - since for partition, (_, since) in opened.items()}


class HangingTransactionMonitor:
    """Ends transactions of source connectors that have been open for `limit` seconds.

    `limit` must exceed the lifetime of a transaction: the connectors' `transaction.timeout.ms` plus the
    broker's interval between two checks of it.

    Connectors share the change topics and the offset topic, so a hanging transaction delays all of them, and
    its partitions do not name its connector. The monitor tries one connector after the other until no
    transaction hangs.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        catalog: Catalog,
        limit: float,
        clock: Clock = monotonic,
    ) -> None:
        self._endpoints = endpoints
        self._topics = {topic_of(table) for table in catalog.captured} | {endpoints.connect.offset_topic}
        self._topics.update(topic for server in endpoints.mysql for topic in internal_topics(server.name))
        self._admin = admin(endpoints.kafka)
        self._open = OpenTransactions()
        self._limit = limit
        self._clock = clock
        self._polled_at = -math.inf
        self._warned_at = -math.inf
        self._failed: dict[Partition, int] = {}
        self._failed_at = -math.inf

    def poll(self) -> list[str]:
        """Returns the connectors whose transactions were aborted; empty between intervals.

        Blocks for Kafka, up to a minute for each connector. An unavailable Kafka is logged, never raised.
        """
        now = self._clock()
        if now - self._polled_at < min(POLL_SECONDS, self._limit):
            return []
        self._polled_at = now
        try:
            return self._poll(now)
        except SwitchboardError as error:
            if now - self._warned_at >= UNAVAILABLE_SECONDS:
                self._warned_at = now
                log.warning("open transactions are unknown", error=error.what)
            return []

    def _poll(self, now: float) -> list[str]:
        with answering(self._endpoints.kafka):
            stable, ends = self._end_offsets(partitions_of(self._admin, self._topics))
        seconds = self._open.observe(ends, stable, now)
        hanging = {
            partition: stable[partition] for partition in sorted(seconds) if seconds[partition] >= self._limit
        }
        metrics.HANGING_TRANSACTIONS.set(len(hanging))
        if not hanging or (hanging == self._failed and now - self._failed_at < REPEAT_SECONDS):
            return []
        return self._end(hanging, now)

    def _end_offsets(
        self, partitions: Collection[Partition]
    ) -> tuple[dict[Partition, int], dict[Partition, int]]:
        """The end offsets for readers of committed records, then for readers of all."""
        stable = partition_offsets(self._admin, partitions, LATEST, limit=KAFKA_SECONDS)
        uncommitted = IsolationLevel.READ_UNCOMMITTED
        return stable, partition_offsets(
            self._admin, partitions, LATEST, isolation=uncommitted, limit=KAFKA_SECONDS
        )

    def _end(self, hanging: dict[Partition, int], now: float) -> list[str]:
        """Aborts the transactions of one connector after the other, until none hangs.

        The supervisor restarts the tasks that this fences. Connect is not asked, as it may wait for the
        hanging transaction itself.
        """
        where = ", ".join(
            f"{topic}[{partition}] at offset {offset}" for (topic, partition), offset in hanging.items()
        )
        log.warning(
            "a transaction hangs: no committed record behind it is read",
            partitions=where,
            open_seconds=self._limit,
        )
        aborted = []
        for name in (connector_name(server.name) for server in self._endpoints.mysql):
            abort_transaction(self._endpoints.kafka, f"{self._endpoints.connect.group}-{name}-0", hanging)
            aborted.append(name)
            if self._ended(hanging):
                log.warning("the hanging transaction is aborted", connector=name)
                return aborted
        self._failed, self._failed_at = hanging, now
        remedy = "kafka-transactions.sh find-hanging names the producer; kafka-transactions.sh abort ends it"
        log.error(
            "the transaction still hangs: its producer is none of the connectors",
            partitions=where,
            remedy=remedy,
        )
        return aborted

    def _ended(self, hanging: dict[Partition, int]) -> bool:
        """Whether committed records behind the transactions are read within `MARKER_SECONDS`."""

        def are_read() -> bool:
            with answering(self._endpoints.kafka):
                stable, _ = self._end_offsets(hanging)
            return all(stable[partition] > offset for partition, offset in hanging.items())

        return wait_until(are_read, MARKER_SECONDS)


def partitions_of(client: AdminClient, topics: Collection[str]) -> list[Partition]:
    """The partitions of those of the topics that exist. Blocks for Kafka; raises KafkaException."""
    known = client.list_topics(timeout=KAFKA_SECONDS).topics
    return [(topic, partition) for topic in topics if topic in known for partition in known[topic].partitions]


def abort_transaction(kafka: KafkaEndpoint, transactional_id: str, partitions: Collection[Partition]) -> None:
    """Aborts the open transactions of this id's producer in the partitions, including hanging ones.

    Kafka gives the id's owner the same producer id with a higher epoch, which fences a running producer. An
    abort marker ends every older transaction of the producer id in a partition, but it is written only where
    the new transaction has a record. Blocks for Kafka; raises TransientError.
    """
    with answering(kafka):
        sender = producer(kafka, **{"transactional.id": transactional_id})
        sender.init_transactions(KAFKA_SECONDS)
        sender.begin_transaction()
        for topic, partition in partitions:
            sender.produce(topic, key=ABORTED_KEY, value=None, partition=partition)
        if sender.flush(KAFKA_SECONDS):
            raise TransientError(
                f"Kafka at {kafka.bootstrap} did not acknowledge the records of {transactional_id}"
            )
        sender.abort_transaction(KAFKA_SECONDS)
