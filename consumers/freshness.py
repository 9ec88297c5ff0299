"""The freshness of each table: records pending in its topic, and the lag from commit to landing of landed
rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

from core.clients import clickhouse
from core.clients.kafka import consumer
from core.errors import TransientError
from core.settings import ClickHouseEndpoint, KafkaEndpoint
from schemas.catalog import Catalog
from schemas.names import ch_string, topic_of
from schemas.render.clickhouse import storage_table


@dataclass(frozen=True)
class Freshness:
    """`landed` records within the window; lags are commit to landed; `age_seconds` since the newest landed
    commit."""

    table: str
    landed: int
    p50_ms: float | None
    p99_ms: float | None
    age_seconds: float | None


MEASURE = """
SELECT
    {name}, countIf(recent), quantilesIf(0.5, 0.99)(lag, recent), count(),
    dateDiff('millisecond', max(committed), now64(3))
FROM
(
    SELECT
        _committed_at AS committed,
        dateDiff('millisecond', _committed_at, _landed_at) AS lag,
        _landed_at > now64(3) - {seconds} AS recent
    FROM {rows}
)
"""


def measure(endpoint: ClickHouseEndpoint, catalog: Catalog, seconds: int) -> list[Freshness]:
    """Returns the freshness of each table over the last `seconds`, in the catalog's order.

    Snapshot rows have no commit of their own: the time at which Debezium read them counts. Blocks on
    ClickHouse: one query reads two columns of every table. Raises TransientError (away) or MisconfiguredError
    (refused, or a table is missing).
    """
    tables = list(catalog)
    selects = [
        MEASURE.format(name=ch_string(table.name), seconds=int(seconds), rows=storage_table(table))
        for table in tables
    ]
    with clickhouse.answering(endpoint):
        rows = clickhouse.connect(endpoint).query("UNION ALL".join(selects)).result_rows if tables else ()
    by_name = {str(row[0]): _freshness(*row) for row in rows}
    return [by_name[table.name] for table in tables]


def _freshness(name: str, landed: int, lags: Sequence[float], rows: int, age_ms: int) -> Freshness:
    p50, p99 = (None if math.isnan(lag) else float(lag) for lag in lags)
    return Freshness(name, landed, p50, p99, age_ms / 1000 if rows else None)


def waiting(endpoint: KafkaEndpoint, group: str, catalog: Catalog) -> dict[str, int]:
    """Returns, by table, the records of its topic that no lander has committed.

    Blocks up to 15 s a partition while Kafka is away.
    """
    reader = consumer(endpoint, group)
    try:
        pending = {}
        live = reader.list_topics(timeout=15).topics
        for table in catalog:
            if (topic := topic_of(table)) in live:
                partitions = [TopicPartition(topic, partition) for partition in live[topic].partitions]
                pending[table.name] = sum(
                    _behind(reader, partition) for partition in reader.committed(partitions, timeout=15)
                )
        return pending
    except KafkaException as error:
        raise TransientError(
            f"Kafka at {endpoint.bootstrap} does not list the landers' offsets: {error}", "is it running?"
        ) from error
    finally:
        reader.close()


def _behind(reader: Consumer, partition: TopicPartition) -> int:
    low, high = reader.get_watermark_offsets(partition, timeout=15)
    return max(0, int(high) - max(int(partition.offset), int(low)))
