"""Repair: what ClickHouse lacks or holds differently is read again; what only ClickHouse has is deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import Producer

from connectors.snapshots import request_snapshot
from core import clock
from core.clients import kafka
from core.clients.registry import Registry
from core.errors import MisconfiguredError, TransientError
from core.settings import Endpoints
from schemas.names import topic_of
from schemas.render.checksum import HASHES, Chunk, Scope, mysql_key_is, mysql_present, mysql_within
from schemas.table import Table
from verify.deletes import delete_record, key_bytes
from verify.results import RowDifference, TableResult, Values
from verify.sides import ClickHouseSide, MySqlSide

KEYS_A_SIGNAL = 200
DROPPED_CHUNK_ROWS = 50_000
Observed = tuple[Values, int]
"""A row of ClickHouse and its version."""


@dataclass(frozen=True)
class Repaired:
    """What was asked for; landing follows. `resent` counts rows, `ranges` the ranges read again as a whole."""

    resent: int = 0
    ranges: int = 0
    deleted: int = 0
    kept: str = ""
    """Why something was left alone."""


def repair(endpoints: Endpoints, source: MySqlSide, table: Table, result: TableResult, now: clock.Clock = clock.system) -> Repaired:
    """Blocks until Kafka holds the signals and the deletes. Repeating it does no harm."""
    if result.dropped:
        return Repaired(kept="the source has dropped the table; `verify --repair --dropped` deletes its rows here too")
    scope = Scope(table, result.shard)
    wanted = [row.source for row in result.differences if row.source is not None]
    ranges = [Chunk(low, high) for low, high in result.wide]
    filters = [mysql_within(scope, [chunk]) for chunk in ranges]
    for start in range(0, len(wanted), KEYS_A_SIGNAL):
        filters.append(" OR ".join(f"({_key_is(scope, row)})" for row in wanted[start : start + KEYS_A_SIGNAL]))
    for where in filters:
        request_snapshot(endpoints.kafka, source.server.name, [f"{result.shard}.{table.name}"], where)
    extra = [row for row in result.differences if row.source is None]
    deleted = _delete(endpoints, source, scope, extra, now) if extra else 0
    left = len(extra) - deleted
    return Repaired(len(wanted), len(ranges), deleted, f"{left} extra rows stand in MySQL by now" if left else "")


def _key_is(scope: Scope, values: Values) -> str:
    return mysql_key_is(scope, dict(zip(scope.table.names, values, strict=True)))


def _delete(endpoints: Endpoints, source: MySqlSide, scope: Scope, extra: Sequence[RowDifference], now: clock.Clock) -> int:
    """Sends deletes for the rows that MySQL still does not have. Returns how many."""
    order = source.key_order(scope.table, scope.shard)

    def gone() -> Iterator[Observed]:
        for row in extra:
            values = row.clickhouse
            if values is not None and row.version is not None and not source.query(mysql_present(scope, _key_is(scope, values))):
                yield values, row.version

    return _send(endpoints, scope, order if set(order) == set(scope.table.key) else scope.table.key, gone(), now)


def delete_dropped(
    endpoints: Endpoints, target: ClickHouseSide, table: Table, shard: str, stands: Callable[[], bool], now: clock.Clock = clock.system
) -> int:
    """Sends a delete for every row of a shard whose table the source has dropped. Returns how many; blocks.

    Each removes the version that was observed and nothing newer. `stands` tells whether the table is there again.
    """
    scope = Scope(table, shard)
    bounds = target.bounds(scope) if scope.by_integer else (0, HASHES - 1)
    if bounds is None:
        return 0
    deleted = 0
    for chunk in Chunk(bounds[0], bounds[1] + 1).split(target.count(scope) // DROPPED_CHUNK_ROWS + 1):
        if stands():
            break
        versions = target.versions(scope, [chunk])
        observed = ((values, versions[key]) for key, values in target.rows(scope, [chunk]).items() if key in versions)
        deleted += _send(endpoints, scope, table.key, observed, now)
    return deleted


def _send(endpoints: Endpoints, scope: Scope, order: tuple[str, ...], rows: Iterable[Observed], now: clock.Clock) -> int:
    """Compare-and-deletes into the table's topic. Blocks until Kafka holds them; returns how many."""
    table, topic = scope.table, topic_of(scope.table)
    found = Registry(endpoints.registry).latest(f"{topic}-value")
    if found is None:
        raise MisconfiguredError(f"the registry has no schema {topic}-value", "has anything of the table ever been published?")
    sender, failures, sent = kafka.producer(endpoints.kafka), list[str](), 0
    for values, version in rows:
        value = delete_record(*found, table, values, scope.shard, version, int(now() * 1000))
        _produce(sender, topic, key_bytes(table, order, values, scope.shard), value, failures)
        sent += 1
    if sender.flush(60) or failures:
        raise TransientError(f"{topic}: Kafka did not take the deletes: {'; '.join(failures[:3]) or 'no answer in 60 s'}")
    return sent


def _produce(sender: Producer, topic: str, key: bytes, value: bytes, failures: list[str]) -> None:
    """Waits while the producer's queue is full."""
    while True:
        try:
            sender.produce(
                topic, key=key, value=value, on_delivery=lambda error, _: failures.append(str(error)) if error is not None else None
            )
            break
        except BufferError:
            sender.poll(1)
            time.sleep(0)
