"""The offset at which landing starts in each partition: the committed one, if it is of the topic's current
generation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from consumers import gaps
from consumers.gaps import Gap
from consumers.generations import bound
from consumers.held_tables import TRANSIENT
from core.clients.topic_identity import TopicDescriber
from core.control import ControlDatabase
from core.errors import StoppedError


@dataclass
class StartOffsets:
    """`failed` holds, for each topic without start offsets, the reason: StoppedError or a transient error."""

    partitions: list[TopicPartition] = field(default_factory=list)
    generations: dict[str, int] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)


class StartOffsetResolver:
    """Reads committed offsets and generations of the landers' group."""

    def __init__(self, describer: TopicDescriber, control: ControlDatabase) -> None:
        self._describer = describer
        self._control = control

    def resolve(self, group: Consumer, partitions: Iterable[TopicPartition]) -> StartOffsets:
        """Returns start offsets for these partitions.

        Blocks on Kafka and the control database, about 30 s at most; never raises.
        """
        wanted = list(partitions)
        topics = sorted({partition.topic for partition in wanted})
        result = StartOffsets()
        try:
            self._find_generations(topics, result)
            accepted = gaps.accepted(self._control)
            committed = group.committed(
                [partition for partition in wanted if partition.topic in result.generations], timeout=10
            )
        except TRANSIENT as error:
            return StartOffsets(failed=dict.fromkeys(topics, error))
        for partition in committed:
            generation = result.generations[partition.topic]
            offset = start_offset(partition, generation, accepted.get(partition.topic))
            result.partitions.append(TopicPartition(partition.topic, partition.partition, offset))
        return result

    def _find_generations(self, topics: list[str], result: StartOffsets) -> None:
        live = self._describer.identities(topics)
        for topic in topics:
            try:
                if topic not in live:
                    raise StoppedError(f"topic {topic} does not exist", "run `switchboard apply`")
                result.generations[topic] = bound(self._control, topic, live[topic])
            except StoppedError as error:
                result.failed[topic] = error


def committed_offset(partition: TopicPartition, generation: int) -> int:
    """The next offset to land: the committed one, or 0 if the group has never read the topic in its current
    generation."""
    known = partition.metadata in (None, "", str(generation))
    return max(int(partition.offset), 0) if known else 0


def start_offset(partition: TopicPartition, generation: int, gap: Gap | None) -> int:
    """The offset to start at: OFFSET_BEGINNING if an operator has accepted that the records from the
    committed offset on expired."""
    offset = committed_offset(partition, generation)
    expired = (
        gap is not None and gap.generation == generation and gap.offsets.get(partition.partition) == offset
    )
    return OFFSET_BEGINNING if expired else offset
