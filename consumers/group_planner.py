"""Planning for the landers' group: partitions whose records expired before a lander read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from consumers import gaps
from consumers.generations import lookup
from consumers.start_offsets import committed_offset, start_offset
from core.clients.kafka import EARLIEST, admin, partition_offsets
from core.clients.topic_identity import TopicDescriber
from core.control import ControlDatabase
from core.control.table_health import ALL_SHARDS, NEEDS_SNAPSHOT, NEEDS_VERIFICATION, set_condition
from core.errors import TransientError
from core.settings import Endpoints
from schemas.catalog import Catalog
from schemas.names import topic_of
from schemas.plan_step import Phase, Step
from schemas.table import Computed, Table


@dataclass(frozen=True)
class ExpiredRecords:
    """Records of a topic that are gone from its log and were never landed."""

    topic: str
    table: Table
    generation: int
    committed: Mapping[int, int]
    """Partition -> the committed offset, which lies before the log's start."""
    log_starts: Mapping[int, int]
    """Partition -> the first offset that the log still has."""

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each partition."""
        return tuple(
            f"{self.topic}[{number}]: {offset} to {self.log_starts[number] - 1}"
            for number, offset in self.committed.items()
        )


class GroupPlanner:
    """Retention, or a consumer group that was deleted or renamed: `apply` lets landing start at the log's
    start.

    The table needs a snapshot and a verification then, as its changes were missed.
    """

    name = "offsets"

    def __init__(self, endpoints: Endpoints, group: str, catalog: Catalog, control: ControlDatabase) -> None:
        self._admin = admin(endpoints.kafka)
        self._describer = TopicDescriber(endpoints.kafka)
        self._bootstrap = endpoints.kafka.bootstrap
        self._group = group
        self._catalog = catalog
        self._control = control

    def plan(self) -> list[Step]:
        return [
            Step(
                Phase.GAP,
                self.name,
                "run",
                expired.topic,
                "start at the log's start, as records expired before they had landed; "
                f"{_next_step(expired.table)}",
                expired.lines,
            )
            for expired in self._expired()
        ]

    def apply(self, step: Step) -> None:
        """Sets the table's conditions first: a process that dies before the gap is accepted has landed
        nothing yet."""
        for expired in self._expired():
            if expired.topic != step.subject:
                continue
            if not isinstance(expired.table.source, Computed):
                reason = (
                    f"records of {expired.topic} expired before they had landed: {', '.join(expired.lines)}"
                )
                set_condition(self._control, expired.table.name, ALL_SHARDS, NEEDS_SNAPSHOT, reason)
                set_condition(self._control, expired.table.name, ALL_SHARDS, NEEDS_VERIFICATION, reason)
            gaps.accept(self._control, expired.topic, expired.generation, expired.committed)

    def _expired(self) -> Iterator[ExpiredRecords]:
        tables = {topic_of(table): table for table in self._catalog}
        accepted = gaps.accepted(self._control)
        identities = self._describer.identities(tables)
        known = {topic: lookup(self._control, topic, identity) for topic, identity in identities.items()}
        bound = {topic: row for topic, row in known.items() if row is not None}
        log_starts = self._log_starts({topic: row.partitions for topic, row in bound.items()})
        committed = self._committed()
        for topic, row in bound.items():
            behind: dict[int, int] = {}
            for number in range(row.partitions):
                partition = committed.get((topic, number), TopicPartition(topic, number))
                starts_at_log_start = start_offset(partition, row.generation, accepted.get(topic)) < 0
                offset = committed_offset(partition, row.generation)
                if not starts_at_log_start and offset < log_starts[topic, number]:
                    behind[number] = offset
            if behind:
                starts = {number: log_starts[topic, number] for number in behind}
                yield ExpiredRecords(topic, tables[topic], row.generation, behind, starts)

    def _log_starts(self, partitions: Mapping[str, int]) -> dict[tuple[str, int], int]:
        """(topic, partition) -> first offset; `partitions` goes from a topic to its number of partitions."""
        wanted = [(topic, number) for topic, count in partitions.items() for number in range(count)]
        try:
            return partition_offsets(self._admin, wanted, EARLIEST, limit=10)
        except KafkaException as error:
            raise TransientError(
                f"Kafka at {self._bootstrap} does not answer with its log starts: {error}", "is it running?"
            ) from error

    def _committed(self) -> dict[tuple[str, int], TopicPartition]:
        futures = self._admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(self._group)], request_timeout=10
        )
        try:
            partitions = futures[self._group].result().topic_partitions
        except KafkaException as error:
            raise TransientError(
                f"Kafka at {self._bootstrap} does not list the offsets of group {self._group}: {error}"
            ) from error
        return {(partition.topic, partition.partition): partition for partition in partitions}


def _next_step(table: Table) -> str:
    if isinstance(table.source, Computed):
        return f"then recompute it: `switchboard backfill run {table.name}`"
    return "the table is snapshotted, and `switchboard verify --repair` finds deleted rows"
