"""How fresh each table is, stage by stage: what waits in its topic, and from commit to landing as the landed rows tell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

from core.clients import clickhouse
from core.clients.kafka import consumer
from core.errors import TransientError
from core.settings import ClickHouseEndpoint, KafkaEndpoint
from schemas.catalog import Catalog
from schemas.names import topic_of
from schemas.render.clickhouse import rows_table


@dataclass(frozen=True)
class Freshness:
    """`landed` records within the window; lags are commit to landed; `age_seconds` since the newest landed commit."""

    table: str
    landed: int
    p50_ms: float | None
    p99_ms: float | None
    age_seconds: float | None


def measure(endpoint: ClickHouseEndpoint, catalog: Catalog, seconds: int) -> Iterator[Freshness]:
    """Snapshot rows have no commit of their own and count with the moment they were read. Blocks on ClickHouse."""
    client = clickhouse.connect(endpoint)
    lags = "quantiles(0.5, 0.99)(dateDiff('millisecond', _committed_at, _landed_at))"
    for table in catalog:
        row = client.query(f"SELECT count(), {lags} FROM {rows_table(table)} WHERE _landed_at > now64(3) - {int(seconds)}").result_rows[0]
        p50, p99 = (None if math.isnan(value) else float(value) for value in row[1])
        newest = client.query(f"SELECT count(), dateDiff('millisecond', max(_committed_at), now64(3)) FROM {rows_table(table)}")
        rows, age = newest.result_rows[0]
        yield Freshness(table.name, int(row[0]), p50, p99, age / 1000 if rows else None)


def waiting(endpoint: KafkaEndpoint, group: str, catalog: Catalog) -> dict[str, int]:
    """Table -> records in its topic that no lander has committed yet. Blocks up to 15 s a partition while Kafka is away."""
    reader = consumer(endpoint, group)
    try:
        found = {}
        live = reader.list_topics(timeout=15).topics
        for table in catalog:
            if (topic := topic_of(table)) in live:
                places = [TopicPartition(topic, partition) for partition in live[topic].partitions]
                found[table.name] = sum(_behind(reader, place) for place in reader.committed(places, timeout=15))
        return found
    except KafkaException as error:
        raise TransientError(f"Kafka at {endpoint.bootstrap} does not tell how far the landers are: {error}", "is it running?") from error
    finally:
        reader.close()


def _behind(reader: Consumer, place: TopicPartition) -> int:
    low, high = reader.get_watermark_offsets(place, timeout=15)
    return max(0, int(high) - max(int(place.offset), int(low)))
