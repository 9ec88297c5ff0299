"""How fresh each table is, stage by stage: what waits in its topic, and from commit to landing as the landed rows tell."""

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
from schemas.render.clickhouse import rows_table


@dataclass(frozen=True)
class Freshness:
    """`landed` records within the window; lags are commit to landed; `age_seconds` since the newest landed commit."""

    table: str
    landed: int
    p50_ms: float | None
    p99_ms: float | None
    age_seconds: float | None


MEASURE = """
SELECT {name}, countIf(recent), quantilesIf(0.5, 0.99)(lag, recent), count(), dateDiff('millisecond', max(committed), now64(3))
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
    """The freshness of each table over the last `seconds`, in the catalog's order.

    Snapshot rows have no commit of their own: the time at which Debezium read them counts. Blocks on ClickHouse: one query reads two
    columns of every table. Raises TransientError (away) or MisconfiguredError (refused, or a table is missing).
    """
    tables = list(catalog)
    selects = [MEASURE.format(name=ch_string(table.name), seconds=int(seconds), rows=rows_table(table)) for table in tables]
    with clickhouse.answering(endpoint):
        rows = clickhouse.connect(endpoint).query("UNION ALL".join(selects)).result_rows if tables else ()
    by_name = {str(row[0]): _freshness(*row) for row in rows}
    return [by_name[table.name] for table in tables]


def _freshness(name: str, landed: int, lags: Sequence[float], rows: int, age_ms: int) -> Freshness:
    p50, p99 = (None if math.isnan(lag) else float(lag) for lag in lags)
    return Freshness(name, landed, p50, p99, age_ms / 1000 if rows else None)


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
