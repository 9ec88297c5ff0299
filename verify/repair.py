"""Repair: what ClickHouse lacks or holds differently is read again; what only ClickHouse has is deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import Producer

from connectors.loads import Loads
from core import clock
from core.clients import kafka
from core.clients.registry import Registry
from core.errors import MisconfiguredError, TransientError
from core.settings import Endpoints
from schemas.names import topic_of
from schemas.render.checksum import HASHES, Chunk, Scope, in_full, mysql_key_is, mysql_place_is, mysql_present, mysql_within
from schemas.render.landing import placing_columns
from schemas.table import Table
from verify.deletes import delete_record, key_bytes
from verify.results import TableResult, Values
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


def repair(
    endpoints: Endpoints, loads: Loads, source: MySqlSide, table: Table, result: TableResult, now: clock.Clock = clock.system
) -> Repaired:
    """Blocks until Kafka holds the signals and the deletes. Repeating it does no harm."""
    if result.dropped:
        return Repaired(kept="the source has dropped the table; `verify --repair --dropped` deletes its rows here too")
    scope = Scope(table, result.shard)
    wanted = [row.source for row in result.differences if row.source is not None and row.kind != "extra in ClickHouse"]
    for where in _filters(scope, wanted, result.wide):
        loads.request(source.server.name, [f"{result.shard}.{table.name}"], where)
    astray = [(row.clickhouse, row.version) for row in result.differences if row.astray and row.clickhouse is not None and row.version]
    deleted = _delete(endpoints, source, scope, [item for item in astray if _known(scope, item[0])], now)
    left = len(astray) - deleted
    kept = f"{left} extra rows stand in MySQL by now, or are told from others by a value too long to be looked up"
    return Repaired(len(wanted), len(result.wide), deleted, kept if left else "")


def _filters(scope: Scope, rows: Sequence[Values], ranges: Iterable[tuple[int, int]]) -> Iterator[str]:
    """The conditions under which the rows and ranges are read again."""
    for low, high in ranges:
        yield mysql_within(scope, [Chunk(low, high)])
    for start in range(0, len(rows), KEYS_A_SIGNAL):
        keys = (mysql_key_is(scope, _named(scope, row)) for row in rows[start : start + KEYS_A_SIGNAL])
        yield " OR ".join(f"({key})" for key in keys)


def _named(scope: Scope, values: Values) -> dict[str, bytes | None]:
    return dict(zip(scope.table.names, values, strict=True))


def _known(scope: Scope, values: Values) -> bool:
    """Whether all that places the row was fetched whole."""
    named = _named(scope, values)
    return all(in_full(scope.table.column(name), named[name]) for name in (*scope.table.key, *placing_columns(scope.table)))


def _delete(endpoints: Endpoints, source: MySqlSide, scope: Scope, astray: Sequence[Observed], now: clock.Clock) -> int:
    """Sends deletes for the rows of which MySQL still has none in the same place. Returns how many."""

    def gone() -> Iterator[Observed]:
        for values, version in astray:
            if not source.query(mysql_present(scope, mysql_place_is(scope, _named(scope, values)))):
                yield values, version

    return _send(endpoints, scope, gone(), now) if astray else 0


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
        observed = (place for places in target.places(scope, [chunk]).values() for place in places)
        deleted += _send(endpoints, scope, observed, now)
    return deleted


def _send(endpoints: Endpoints, scope: Scope, rows: Iterable[Observed], now: clock.Clock) -> int:
    """Compare-and-deletes into the table's topic. Blocks until Kafka holds them; returns how many."""
    table, topic = scope.table, topic_of(scope.table)
    found = Registry(endpoints.registry).latest(f"{topic}-value")
    if found is None:
        raise MisconfiguredError(f"the registry has no schema {topic}-value", "has anything of the table ever been published?")
    sender, failures, sent = kafka.producer(endpoints.kafka), list[str](), 0
    for values, version in rows:
        value = delete_record(*found, table, values, scope.shard, version, int(now() * 1000))
        _produce(sender, topic, key_bytes(table, values, scope.shard), value, failures)
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
