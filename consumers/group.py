"""Planning's part for the landers' group: it stands before the log's start where records went before they had landed."""

from __future__ import annotations

from collections.abc import Iterator

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from consumers import gaps
from consumers.beginnings import begins, stands
from consumers.generations import lookup
from core.clients.kafka import EARLIEST, admin, partition_offsets
from core.clients.topic_identity import TopicDescriber
from core.control import ControlDatabase
from core.control.table_health import ALL_SHARDS, NEEDS_SNAPSHOT, NEEDS_VERIFICATION, set_condition
from core.errors import TransientError
from core.settings import Endpoints
from schemas.catalog import Catalog
from schemas.names import topic_of
from schemas.steps import Step
from schemas.table import Computed, Table

Offsets = dict[tuple[str, int], int]


class GroupTarget:
    """Retention, or a group that was forgotten or renamed: `apply` lets landing begin at the log's start, and says what is in doubt."""

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
            Step(12, self.name, "run", topic, f"begin at the log's start, as records went before they had landed; {_then(table)}", lines)
            for topic, table, lines, _, _ in self._gone()
        ]

    def apply(self, step: Step) -> None:
        """Marks first: whoever dies in between has landed nothing yet."""
        for topic, table, lines, generation, offsets in self._gone():
            if topic != step.subject:
                continue
            if not isinstance(table.source, Computed):
                reason = f"records of {topic} went before they had landed: {', '.join(lines)}"
                set_condition(self._control, table.name, ALL_SHARDS, NEEDS_SNAPSHOT, reason)
                set_condition(self._control, table.name, ALL_SHARDS, NEEDS_VERIFICATION, reason)
            gaps.accept(self._control, topic, generation, offsets)

    def _gone(self) -> Iterator[tuple[str, Table, tuple[str, ...], int, dict[int, int]]]:
        """(topic, table, a line for each partition, generation, partition -> where landing stands) of each topic with a gap."""
        tables = {topic_of(table): table for table in self._catalog}
        standing, passed = self._describer.identities(tables), gaps.accepted(self._control)
        known = {topic: lookup(self._control, topic, identity) for topic, identity in standing.items()}
        bound = {topic: (row.generation, row.partitions) for topic, row in known.items() if row is not None}
        lows, committed = self._lows({topic: partitions for topic, (_, partitions) in bound.items()}), self._committed()
        for topic, (generation, partitions) in bound.items():
            places = [committed.get((topic, number), TopicPartition(topic, number)) for number in range(partitions)]
            gone = {place.partition: stands(place, generation) for place in places if begins(place, generation, passed.get(topic)) >= 0}
            gone = {number: offset for number, offset in gone.items() if offset < lows[topic, number]}
            if gone:
                lines = tuple(f"{topic}[{number}]: {offset} to {lows[topic, number] - 1}" for number, offset in gone.items())
                yield topic, tables[topic], lines, generation, gone

    def _lows(self, partitions: dict[str, int]) -> Offsets:
        wanted = [(topic, number) for topic, count in partitions.items() for number in range(count)]
        try:
            return partition_offsets(self._admin, wanted, EARLIEST, limit=10)
        except KafkaException as error:
            raise TransientError(f"Kafka at {self._bootstrap} does not tell where its topics begin: {error}", "is it running?") from error

    def _committed(self) -> dict[tuple[str, int], TopicPartition]:
        asked = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(self._group)], request_timeout=10)
        try:
            places = asked[self._group].result().topic_partitions
        except KafkaException as error:
            raise TransientError(f"Kafka at {self._bootstrap} does not tell what group {self._group} has committed: {error}") from error
        return {(place.topic, place.partition): place for place in places}


def _then(table: Table) -> str:
    if isinstance(table.source, Computed):
        return f"then compute it anew: `switchboard backfill run {table.name}`"
    return "the table is read again, and `switchboard verify --repair` finds what was deleted"
