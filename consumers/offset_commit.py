"""Commits of landed offsets."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from consumers.held_tables import error_line
from consumers.offsets import OffsetTracker
from core import logging, metrics

log = logging.get("lander")


def commit_ready(group: Consumer, offsets: OffsetTracker, generations: Mapping[str, int]) -> None:
    """Commits the offsets that are ready, each with its topic's generation as metadata. Blocks on Kafka.

    Never raises: offsets that fail are logged, and committed with the next.
    """
    ready = offsets.take_ready()
    if not ready:
        return
    partitions = [
        TopicPartition(topic, partition, offset, metadata=str(generations[topic]))
        for (topic, partition), offset in ready.items()
    ]
    try:
        results = group.commit(offsets=partitions, asynchronous=False) or []
        failed = {
            (partition.topic, partition.partition): str(partition.error)
            for partition in results
            if partition.error is not None
        }
    except KafkaException as error:
        failed = dict.fromkeys(ready, error_line(error))
    for key in failed:
        offsets.put_back(key, ready[key])
    if failed:
        log.warning("commit failed and is retried", partitions=len(failed), error=next(iter(failed.values())))
    for topic, partition in ready.keys() - failed.keys():
        metrics.COMMITTED_OFFSET.labels(topic, str(partition)).set(ready[topic, partition])
