"""Where landing begins in each partition: where it was committed last, in the topic's present generation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from consumers import gaps
from consumers.gaps import Gap
from consumers.generations import bound
from consumers.standstill import PASSING
from core.clients.topic_identity import TopicDescriber
from core.control import ControlDatabase
from core.errors import StoppedError


@dataclass
class Beginning:
    """`failed` tells of the topics of which no place is known why: StoppedError, or one that passes."""

    places: list[TopicPartition] = field(default_factory=list)
    generations: dict[str, int] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)


class Beginnings:
    """Blocks on Kafka and the control database, some 30 s at most while one is away."""

    def __init__(self, describer: TopicDescriber, control: ControlDatabase) -> None:
        self._describer = describer
        self._control = control

    def of(self, group: Consumer, places: Iterable[TopicPartition]) -> Beginning:
        wanted = list(places)
        topics = sorted({place.topic for place in wanted})
        found = Beginning()
        try:
            self._generations(topics, found)
            passed = gaps.accepted(self._control)
            committed = group.committed([place for place in wanted if place.topic in found.generations], timeout=10)
        except PASSING as error:
            return Beginning(failed=dict.fromkeys(topics, error))
        for place in committed:
            generation = found.generations[place.topic]
            offset = begins(place, generation, passed.get(place.topic))
            found.places.append(TopicPartition(place.topic, place.partition, offset))
        return found

    def _generations(self, topics: list[str], found: Beginning) -> None:
        standing = self._describer.identities(topics)
        for topic in topics:
            try:
                if topic not in standing:
                    raise StoppedError(f"topic {topic} does not exist", "run `switchboard apply`")
                found.generations[topic] = bound(self._control, topic, standing[topic])
            except StoppedError as error:
                found.failed[topic] = error


def stands(place: TopicPartition, generation: int) -> int:
    """The next offset to land: the committed one, or 0 in a topic that the group has never read in its present generation."""
    known = place.metadata in (None, "", str(generation))
    return max(int(place.offset), 0) if known else 0


def begins(place: TopicPartition, generation: int, gap: Gap | None) -> int:
    """Where to begin: the log's start if what stood before it is known to be gone."""
    offset = stands(place, generation)
    passed = gap is not None and gap.generation == generation and gap.offsets.get(place.partition) == offset
    return OFFSET_BEGINNING if passed else offset
