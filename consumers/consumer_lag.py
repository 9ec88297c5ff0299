"""The lag of a consumer group behind the ends that topics had at one moment."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from core.clients.kafka import partition_reader
from core.clock import utc_now
from core.errors import TransientError
from core.settings import KafkaEndpoint

CONTROL_RECORDS = 100
"""More than ever end a log in a row: if no more offsets remain, a fetch shows whether a record is among them.
"""
TIMEOUT_SECONDS = 15.0


def horizon(kafka: KafkaEndpoint, topics: Iterable[str]) -> dt.datetime | None:
    """Returns the time, in UTC, since when the topics hold every record; None if no record ever expired.

    Blocks up to 30 s for each partition with expired records; raises TransientError while Kafka is away.
    """
    reader = partition_reader(kafka)
    try:
        return max(
            filter(
                None, (_first_record_time(reader, partition) for partition in _partitions(reader, topics))
            ),
            default=None,
        )
    except KafkaException as error:
        raise TransientError(
            f"Kafka at {kafka.bootstrap} does not answer with its log starts: {error}", "is it running?"
        ) from error
    finally:
        reader.close()


def _partitions(reader: Consumer, topics: Iterable[str]) -> list[TopicPartition]:
    live = reader.list_topics(timeout=TIMEOUT_SECONDS).topics
    return [
        TopicPartition(topic, number)
        for topic in topics
        if topic in live
        for number in live[topic].partitions
    ]


def _first_record_time(reader: Consumer, partition: TopicPartition) -> dt.datetime | None:
    """Returns when the first record of a partition was written, now if it is empty; None if no record
    expired."""
    low, _ = reader.get_watermark_offsets(partition, timeout=TIMEOUT_SECONDS)
    if low == 0:
        return None
    reader.assign([TopicPartition(partition.topic, partition.partition, low)])
    message = reader.poll(TIMEOUT_SECONDS)
    reader.unassign()
    if message is None or message.error() is not None:
        return utc_now()
    return dt.datetime.fromtimestamp(message.timestamp()[1] / 1000, dt.UTC).replace(tzinfo=None)


class LagTracker:
    """Tracks how much of the topics a group has not committed. To be closed.

    Blocks up to 15 s a partition when created, and up to 30 s in `remaining`; raises TransientError while
    Kafka is away.
    """

    def __init__(self, kafka: KafkaEndpoint, group: str, topics: Iterable[str]) -> None:
        self._reader = partition_reader(kafka, group)
        self._ends: dict[tuple[str, int], tuple[int, int]] = {}
        try:
            live = self._reader.list_topics(timeout=TIMEOUT_SECONDS).topics
            for topic in topics:
                for number in live[topic].partitions if topic in live else ():
                    low, high = self._reader.get_watermark_offsets(
                        TopicPartition(topic, number), timeout=TIMEOUT_SECONDS
                    )
                    self._ends[topic, number] = int(low), int(high)
        except KafkaException as error:
            raise TransientError(
                f"Kafka at {kafka.bootstrap} does not answer with its log ends: {error}", "is it running?"
            ) from error

    @property
    def total(self) -> int:
        return sum(high - low for low, high in self._ends.values())

    def remaining(self) -> int:
        """Returns the number of records before the ends that the group has not committed; control records do
        not count."""
        try:
            partitions = self._reader.committed(
                [TopicPartition(*partition) for partition in self._ends], timeout=TIMEOUT_SECONDS
            )
            behind = [partition for partition in partitions if self._behind(partition) > 0]
            maybe_empty = [partition for partition in behind if self._behind(partition) <= CONTROL_RECORDS]
            without_records = self._without_records(maybe_empty)
            return sum(
                self._behind(partition)
                for partition in behind
                if (partition.topic, partition.partition) not in without_records
            )
        except KafkaException as error:
            raise TransientError(
                f"Kafka does not list the offsets of a group: {error}", "is it running?"
            ) from error

    def _position(self, partition: TopicPartition) -> int:
        """The committed offset, or the first offset of a partition where the group has committed nothing."""
        return max(self._ends[partition.topic, partition.partition][0], int(partition.offset))

    def _behind(self, partition: TopicPartition) -> int:
        return self._ends[partition.topic, partition.partition][1] - self._position(partition)

    def _without_records(self, partitions: list[TopicPartition]) -> set[tuple[str, int]]:
        """Returns the partitions without a record before their ends, all fetched at once; one without an
        answer counts as having some."""
        unanswered = {(partition.topic, partition.partition) for partition in partitions}
        self._reader.assign(
            [
                TopicPartition(partition.topic, partition.partition, self._position(partition))
                for partition in partitions
            ]
        )
        found: set[tuple[str, int]] = set()
        deadline = time.monotonic() + TIMEOUT_SECONDS
        try:
            while (
                unanswered
                and (message := self._reader.poll(max(0.0, deadline - time.monotonic()))) is not None
            ):
                partition, error = (str(message.topic()), int(message.partition() or 0)), message.error()
                if partition not in unanswered:
                    continue
                unanswered.remove(partition)
                at_end = (
                    int(message.offset() or 0) >= self._ends[partition][1]
                    if error is None
                    else error.code() == KafkaError._PARTITION_EOF
                )
                if at_end:
                    found.add(partition)
            return found
        finally:
            self._reader.unassign()

    def close(self) -> None:
        self._reader.close()
