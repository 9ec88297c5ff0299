"""Repairs a shard: missing and differing rows are re-snapshotted; extra rows are deleted from ClickHouse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, Message, Producer

from connectors.snapshot_tracker import SnapshotTracker
from core import clock
from core.clients import kafka
from core.clients.registry import Registry
from core.errors import MisconfiguredError, TransientError
from core.settings import Endpoints
from schemas.names import topic_of
from schemas.render.checksum import (
    HASHES,
    Chunk,
    Scope,
    in_full,
    mysql_key_is,
    mysql_present,
    mysql_storage_key_is,
    mysql_within,
)
from schemas.render.landing import storage_key_columns
from schemas.table import Table
from verify.deletes import delete_record, key_bytes
from verify.results import TableResult, Values
from verify.sources import ClickHouseReader, MySqlReader

KEYS_PER_SIGNAL = 200
DROPPED_CHUNK_ROWS = 50_000
Observed = tuple[Values, int]
"""A row of ClickHouse and its version."""


@dataclass(frozen=True)
class RepairRequest:
    """What was requested; it lands later.

    `resent` counts rows, `ranges` the ranges that are read again as a whole.
    """

    resent: int = 0
    ranges: int = 0
    deleted: int = 0
    kept: str = ""
    """Why rows were not repaired."""


def repair(
    endpoints: Endpoints,
    tracker: SnapshotTracker,
    source: MySqlReader,
    table: Table,
    result: TableResult,
    now: clock.Clock = clock.system,
) -> RepairRequest:
    """Sends the signals and deletes that repair the differences of `result`. Idempotent.

    Blocks until Kafka has acknowledged them. Raises MisconfiguredError or TransientError if it cannot.
    """
    if result.dropped:
        return RepairRequest(
            kept="the source has dropped the table; `verify --repair --dropped` deletes its rows here too"
        )
    scope = Scope(table, result.shard)
    resent = [
        row.source
        for row in result.differences
        if row.source is not None and row.kind != "extra in ClickHouse"
    ]
    for where in _filters(scope, resent, result.unresolved_ranges):
        tracker.request(source.server.name, [f"{result.shard}.{table.name}"], where)
    unmatched = [
        (row.clickhouse, row.version)
        for row in result.differences
        if row.unmatched and row.clickhouse is not None and row.version
    ]
    deleted = _delete(
        endpoints, source, scope, [item for item in unmatched if _has_full_key(scope, item[0])], now
    )
    left = len(unmatched) - deleted
    kept = f"{left} extra rows exist in MySQL by now, or have a key value too long for a lookup"
    return RepairRequest(len(resent), len(result.unresolved_ranges), deleted, kept if left else "")


def _filters(scope: Scope, rows: Sequence[Values], ranges: Iterable[tuple[int, int]]) -> Iterator[str]:
    """The filters of the snapshots that read the rows and ranges again."""
    for low, high in ranges:
        yield mysql_within(scope, [Chunk(low, high)])
    for start in range(0, len(rows), KEYS_PER_SIGNAL):
        keys = (mysql_key_is(scope, _named(scope, row)) for row in rows[start : start + KEYS_PER_SIGNAL])
        yield " OR ".join(f"({key})" for key in keys)


def _named(scope: Scope, values: Values) -> dict[str, bytes | None]:
    return dict(zip(scope.table.names, values, strict=True))


def _has_full_key(scope: Scope, values: Values) -> bool:
    """Whether the key and storage key columns of the row were fetched without truncation."""
    named = _named(scope, values)
    return all(
        in_full(scope.table.column(name), named[name])
        for name in (*scope.table.key, *storage_key_columns(scope.table))
    )


def _delete(
    endpoints: Endpoints, source: MySqlReader, scope: Scope, unmatched: Sequence[Observed], now: clock.Clock
) -> int:
    """Sends deletes for the rows whose storage key MySQL still does not have. Returns how many."""

    def still_missing() -> Iterator[Observed]:
        for values, version in unmatched:
            if not source.query(mysql_present(scope, mysql_storage_key_is(scope, _named(scope, values)))):
                yield values, version

    return _send(endpoints, scope, still_missing(), now) if unmatched else 0


def delete_dropped(
    endpoints: Endpoints,
    target: ClickHouseReader,
    table: Table,
    shard: str,
    exists: Callable[[], bool],
    now: clock.Clock = clock.system,
) -> int:
    """Sends a delete for every row of a shard whose table the source dropped. Returns how many; blocks.

    Each delete removes the observed version and nothing newer. `exists` returns whether the table exists
    again, which ends the deletion.
    """
    scope = Scope(table, shard)
    bounds = target.bounds(scope) if scope.by_integer else (0, HASHES - 1)
    if bounds is None:
        return 0
    deleted = 0
    for chunk in Chunk(bounds[0], bounds[1] + 1).split(target.count(scope) // DROPPED_CHUNK_ROWS + 1):
        if exists():
            break
        observed = (row for rows in target.stored_rows(scope, [chunk]).values() for row in rows)
        deleted += _send(endpoints, scope, observed, now)
    return deleted


def _send(endpoints: Endpoints, scope: Scope, rows: Iterable[Observed], now: clock.Clock) -> int:
    """Sends compare-and-deletes to the table's topic.

    Blocks until Kafka has acknowledged them; returns how many.
    """
    table, topic = scope.table, topic_of(scope.table)
    found = Registry(endpoints.registry).latest(f"{topic}-value")
    if found is None:
        raise MisconfiguredError(
            f"the registry has no schema {topic}-value",
            "check that the connector has published records of the table",
        )
    sender = kafka.producer(endpoints.kafka)
    failures: list[str] = []
    sent = 0
    for values, version in rows:
        value = delete_record(*found, table, values, scope.shard, version, int(now() * 1000))
        _produce(sender, topic, key_bytes(table, values, scope.shard), value, failures)
        sent += 1
    if sender.flush(60) or failures:
        raise TransientError(
            f"{topic}: Kafka did not acknowledge the deletes: "
            f"{'; '.join(failures[:3]) or 'no answer in 60 s'}"
        )
    return sent


def _produce(sender: Producer, topic: str, key: bytes, value: bytes, failures: list[str]) -> None:
    """Blocks while the producer's queue is full."""

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(str(error))

    while True:
        try:
            sender.produce(topic, key=key, value=value, on_delivery=delivered)
            return
        except BufferError:
            sender.poll(1)
