"""The contract language: one frozen, self-validating declaration per table, from which everything else is
rendered."""

from __future__ import annotations

import datetime as dt
import fnmatch
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from core.errors import ContractError
from schemas import types as t
from schemas.privacy import Privacy

RESERVED = frozenset(
    (
        "_shard",
        "_partition",
        "_offset",
        "_version",
        "_deleted",
        "_committed_at",
        "_file",
        "_pos",
        "_row",
        "_landed_at",
    )
)
"""The columns that landing adds to every table."""


@dataclass(frozen=True)
class Shards:
    """The table is in each database whose name matches `pattern` (``*`` and ``?``), on all servers.

    They do not match a dot: Debezium's names of tables would be ambiguous.
    """

    pattern: str

    def matches(self, database: str) -> bool:
        return "." not in database and fnmatch.fnmatchcase(database, self.pattern)


@dataclass(frozen=True)
class Metadata:
    """The table exists once, in the metadata database (or the given one)."""

    database: str = "metadata"

    def matches(self, database: str) -> bool:
        return database == self.database


@dataclass(frozen=True)
class Computed:
    """A Flink job computes the table.

    `tier` is the prefix of its topic's name and the database in which readers find it.
    """

    job: str
    tier: Literal["structured", "realtime"]

    def matches(self, _: str) -> bool:
        return False


Source = Shards | Metadata | Computed


@dataclass(frozen=True)
class Latest:
    """Only the newest row of a key matters (a dimension's base table)."""


@dataclass(frozen=True)
class Scd2:
    """Every version of a row is kept with the time it was valid."""


@dataclass(frozen=True)
class Append:
    """Rows are written once and never changed."""


History = Latest | Scd2 | Append


@dataclass(frozen=True)
class Month:
    """One partition a month of the column's time."""

    column: str


@dataclass(frozen=True)
class ClickHouse:
    """How ClickHouse stores the table. `order_by` defaults to the key; `keep_days` drops whole partitions."""

    order_by: tuple[str, ...] = ()
    partition_by: Month | None = None
    keep_days: int | None = None


UnknownColumn = Literal["evolve", "freeze", "discard_value", "discard_row"]


@dataclass(frozen=True)
class Column:
    """`id` is permanent: a renamed column keeps it, a dropped column's is never used again.

    `zero` is what a zero date (0000-00-00, a date without a year, month or day, YEAR 0000) becomes, in ISO
    8601: ``2000-01-01``, ``2000-01-01T00:00:00`` in UTC, ``0000``. Without it, zero dates become NULL in a
    nullable column; in a required one their rows are dead letters, and YEAR 0000 is 0.
    """

    id: int
    name: str
    type: t.Type
    privacy: Privacy
    nullable: bool = False
    immutable: bool = False
    zero: str | None = None


def required(id: int, name: str, type: t.Type, privacy: Privacy, zero: str | None = None) -> Column:
    return Column(id, name, type, privacy, zero=zero)


def immutable(id: int, name: str, type: t.Type, privacy: Privacy, zero: str | None = None) -> Column:
    """A required column that no update changes; sorting, partition and retention columns are key or
    immutable."""
    return Column(id, name, type, privacy, immutable=True, zero=zero)


def optional(id: int, name: str, type: t.Type, privacy: Privacy, zero: str | None = None) -> Column:
    return Column(id, name, type, privacy, nullable=True, zero=zero)


@dataclass(frozen=True)
class Table:
    """One table. Raises ContractError on construction, naming every fault at once.

    `keyed_by_all_columns`: the source has no primary key, and all columns together identify a
    row: equal rows collapse to one. Otherwise the key is any unique key of the source, primary or not.
    """

    name: str
    source: Source
    key: tuple[str, ...]
    history: History
    columns: tuple[Column, ...]
    tenant: str | None = None
    clickhouse: ClickHouse = field(default_factory=ClickHouse)
    unknown_column: UnknownColumn = "evolve"
    keyed_by_all_columns: bool = False
    generation: int = field(default=1, repr=False)
    """Of a computed table. Never written in a contract: the control database stores the active generation."""

    def __post_init__(self) -> None:
        faults = list(_faults(self))
        if faults:
            raise ContractError(
                f"contract {self.name!r}: " + "; ".join(faults), "correct the contract's file"
            )

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def order_by(self) -> tuple[str, ...]:
        """ClickHouse's sorting columns without `_shard`: those of the contract, then the other columns of the
        key."""
        chosen = self.clickhouse.order_by
        return chosen + tuple(name for name in self.key if name not in chosen)


def _faults(table: Table) -> Iterator[str]:
    names = set(table.names)
    if not table.name or "\n" in table.name or "\r" in table.name:
        yield "a table needs a name of one line"
    if len(names) != len(table.columns):
        yield "two columns share a name"
    if len({column.id for column in table.columns}) != len(table.columns):
        yield "two columns share an id"
    yield from (f"column {name!r} is one that landing adds" for name in sorted(names & RESERVED))
    if not table.key:
        yield (
            "no key: name one, or keyed_by_all_columns=True and every column if equal rows may collapse to "
            "one"
        )
    if table.keyed_by_all_columns and set(table.key) != names:
        yield "keyed_by_all_columns needs every column in the key"
    yield from _key_faults(table, names)
    for column in table.columns:
        if column.zero is not None and (expected := _unfit_zero(column.type, column.zero)):
            yield f"column {column.name!r}: zero={column.zero!r} is not {expected}"
    if isinstance(table.source, Computed) and set(table.order_by) != set(table.key):
        yield "a computed table is ordered by exactly its key: a delete brings no more"
    yield from _storage_faults(table, names)


def _key_faults(table: Table, names: set[str]) -> Iterator[str]:
    for name in table.key:
        if name not in names:
            yield f"key column {name!r} does not exist"
        elif table.column(name).nullable and not table.keyed_by_all_columns:
            yield f"key column {name!r} is nullable"
        elif (why := unusable_key_reason(table.column(name).type)) is not None:
            yield f"key column {name!r} {why}" + (
                "; give the table a primary key" if table.keyed_by_all_columns else ""
            )
    if table.tenant is not None and table.tenant not in names:
        yield f"tenant column {table.tenant!r} does not exist"


def _unfit_zero(kind: t.Type, zero: str) -> str:
    """Returns what the column's `zero` has to be; empty if it is."""
    read: Callable[[str], object]
    match kind:
        case t.Date():
            read, expected = dt.date.fromisoformat, "a date such as '2000-01-01'"
        case t.DateTime() | t.Timestamp():
            read, expected = _moment, "a time without a zone such as '2000-01-01T00:00:00'"
        case t.Year():
            read, expected = _year, "a year such as '0000'"
        case _:
            return "possible: the type has no zero dates"
    try:
        read(zero)
    except ValueError:
        return expected
    return ""


def _moment(text: str) -> None:
    if dt.datetime.fromisoformat(text).tzinfo is not None:
        raise ValueError


def _year(text: str) -> None:
    if not (text.isdecimal() and len(text) == 4):
        raise ValueError


def unusable_source_reason(source: Source) -> str | None:
    """Returns why the databases of a source cannot be captured, if they cannot."""
    match source:
        case Shards(name) | Metadata(name) if "." in name:
            return f"database {name!r} has a dot in its name, which Debezium takes for a separator; rename it"
        case _:
            return None


def unusable_key_reason(kind: t.Type) -> str | None:
    """Returns why such a column cannot identify rows: one row would have several keys, and so partitions
    (decision 5)."""
    match kind:
        case t.Float():
            return "is a float, which has several text forms"
        case t.Json():
            return "is JSON, which snapshots and the binlog format differently"
        case t.Bit(bits) if bits > 1:
            return "is BIT, whose bytes snapshots and the binlog order differently"
        case _:
            return None


def _storage_faults(table: Table, names: set[str]) -> Iterator[str]:
    placed = list(table.clickhouse.order_by)
    partition = table.clickhouse.partition_by
    if partition is not None:
        placed.append(partition.column)
        if partition.column in names and not isinstance(
            table.column(partition.column).type, t.Date | t.DateTime | t.Timestamp
        ):
            yield f"partition column {partition.column!r} is not a date or time"
    for name in placed:
        if name not in names:
            yield f"sorting or partition column {name!r} does not exist"
        elif name not in table.key and not table.column(name).immutable:
            yield f"sorting or partition column {name!r} is neither key nor declared immutable"
    keep = table.clickhouse.keep_days
    if keep is not None and (keep < 1 or partition is None):
        yield "keep_days needs a partition column and at least one day"
    if keep is not None and isinstance(table.history, Latest):
        yield "a dimension (Latest) has no retention"
