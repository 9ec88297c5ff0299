"""How far a consumer group has read topics, up to ends that were noted once."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from core.clients.kafka import partition_reader
from core.errors import TransientError
from core.settings import KafkaEndpoint

CONTROL_RECORDS = 100
"""More than stand in a row at a log's end: for so few that seem to be left, it is tried whether there is one to read."""
PATIENCE = 15.0


def horizon(kafka: KafkaEndpoint, topics: Iterable[str]) -> dt.datetime | None:
    """From when on the topics hold every record, in UTC: None if they hold all that ever was in them.

    Blocks up to 30 s a partition whose beginning is gone; raises TransientError while Kafka is away.
    """
    reader = partition_reader(kafka)
    try:
        return max(filter(None, (_first(reader, place) for place in _partitions(reader, topics))), default=None)
    except KafkaException as error:
        raise TransientError(f"Kafka at {kafka.bootstrap} does not tell its topics' beginnings: {error}", "is it running?") from error
    finally:
        reader.close()


def _partitions(reader: Consumer, topics: Iterable[str]) -> list[TopicPartition]:
    live = reader.list_topics(timeout=PATIENCE).topics
    return [TopicPartition(topic, number) for topic in topics if topic in live for number in live[topic].partitions]


def _first(reader: Consumer, place: TopicPartition) -> dt.datetime | None:
    """When the first record of a partition that has lost some was written; now if none is left. None if nothing was lost."""
    low, _ = reader.get_watermark_offsets(place, timeout=PATIENCE)
    if low == 0:
        return None
    reader.assign([TopicPartition(place.topic, place.partition, low)])
    message = reader.poll(PATIENCE)
    reader.unassign()
    if message is None or message.error() is not None:
        return dt.datetime.now(dt.UTC).replace(tzinfo=None)
    return dt.datetime.fromtimestamp(message.timestamp()[1] / 1000, dt.UTC).replace(tzinfo=None)


class Reach:
    """Blocks up to 15 s a partition when created, and up to 30 s in `left`; raises TransientError while Kafka is away. To be closed."""

    def __init__(self, kafka: KafkaEndpoint, group: str, topics: Iterable[str]) -> None:
        self._reader = partition_reader(kafka, group)
        self._ends: dict[tuple[str, int], tuple[int, int]] = {}
        try:
            live = self._reader.list_topics(timeout=PATIENCE).topics
            for topic in topics:
                for number in live[topic].partitions if topic in live else ():
                    low, high = self._reader.get_watermark_offsets(TopicPartition(topic, number), timeout=PATIENCE)
                    self._ends[topic, number] = int(low), int(high)
        except KafkaException as error:
            raise TransientError(f"Kafka at {kafka.bootstrap} does not tell its topics' ends: {error}", "is it running?") from error

    @property
    def total(self) -> int:
        return sum(high - low for low, high in self._ends.values())

    def left(self) -> int:
        """Records before the ends that the group has not committed; control records, which nobody is handed, do not count."""
        try:
            places = self._reader.committed([TopicPartition(*place) for place in self._ends], timeout=PATIENCE)
            behind = [place for place in places if self._behind(place) > 0]
            doubtful = [place for place in behind if self._behind(place) <= CONTROL_RECORDS]
            without_records = self._without_records(doubtful)
            return sum(self._behind(place) for place in behind if (place.topic, place.partition) not in without_records)
        except KafkaException as error:
            raise TransientError(f"Kafka does not tell how far a group has read: {error}", "is it running?") from error

    def _position(self, place: TopicPartition) -> int:
        """The committed offset, or the first offset of a partition where the group has committed nothing."""
        return max(self._ends[place.topic, place.partition][0], int(place.offset))

    def _behind(self, place: TopicPartition) -> int:
        return self._ends[place.topic, place.partition][1] - self._position(place)

    def _without_records(self, places: list[TopicPartition]) -> set[tuple[str, int]]:
        """Partitions with no record before their ends, all fetched at once. One without an answer counts as having some."""
        unanswered = {(place.topic, place.partition) for place in places}
        self._reader.assign([TopicPartition(place.topic, place.partition, self._position(place)) for place in places])
        found: set[tuple[str, int]] = set()
        deadline = time.monotonic() + PATIENCE
        try:
            while unanswered and (message := self._reader.poll(max(0.0, deadline - time.monotonic()))) is not None:
                at, error = (str(message.topic()), int(message.partition() or 0)), message.error()
                if at not in unanswered:
                    continue
                unanswered.remove(at)
                at_end = int(message.offset() or 0) >= self._ends[at][1] if error is None else error.code() == KafkaError._PARTITION_EOF
                if at_end:
                    found.add(at)
            return found
        finally:
            self._reader.unassign()

    def close(self) -> None:
        self._reader.close()
