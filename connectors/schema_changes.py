"""Finds DDL in Debezium's schema history that changes rows without change events, and marks the tables.

A record is decoded by its own schema. The history only decides which rows have to be read again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from connectors.alter_actions import Effect, effects
from connectors.cursors import cursor, move_cursor
from core.clients.kafka import read_partitions
from core.control import ControlDatabase
from core.control.models import SchemaChangeCursor
from core.control.table_health import NEEDS_SNAPSHOT, NEEDS_VERIFICATION, set_condition
from core.settings import KafkaEndpoint
from core.wire.history import TableName, table_name
from core.wire.history import columns as columns_of
from schemas.catalog import Catalog
from schemas.render.connect import history_topic

INTEGERS_BY_WIDTH = ("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT")
DROP_DATABASE = re.compile(r"DROP\s+(DATABASE|SCHEMA)\b", re.IGNORECASE)
RENAMED = re.compile(r"\bRENAME\s+(TO|AS)\b|^RENAME\s+TABLE\b", re.IGNORECASE)
MAX_DDL_CHARS = 200
Columns = dict[str, dict[str, Any]]


@dataclass
class KnownTable:
    """The columns of a table so far, and the names of those that it has lost."""

    columns: Columns
    dropped: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SchemaChange:
    """The effect of one DDL statement on one table: `state` is the condition that it causes, if any."""

    offset: int
    database: str
    table: str
    state: str | None
    reason: str


@dataclass(frozen=True)
class NewSchemaChanges:
    """What follows the cursor in a server's history.

    `changes` are those that cause conditions of captured tables; `last` is the offset of the history's newest
    change, -1 if it has none.
    """

    server: str
    changes: tuple[SchemaChange, ...]
    last: int


class SchemaHistory:
    """Follows a server's schema history: the first call reads all of it, later ones what is new."""

    def __init__(self, kafka: KafkaEndpoint, server: str) -> None:
        self._kafka = kafka
        self._server = server
        self._forget()

    def _forget(self) -> None:
        self._next = 0
        self._last = -1
        self._known: dict[TableName, KnownTable] = {}
        self._relevant: list[SchemaChange] = []

    def new_changes(self, control: ControlDatabase, catalog: Catalog) -> NewSchemaChanges:
        """Finds the changes that are not recorded, and changes nothing.

        Blocks for Kafka and the control database. Raises TransientError if the history cannot be read.
        """
        try:
            self._read(catalog)
        except Exception:
            self._forget()  # a record may be half known
            raise
        recorded = cursor(control, SchemaChangeCursor, self._server)
        self._relevant = [change for change in self._relevant if change.offset > recorded]
        return NewSchemaChanges(self._server, tuple(self._relevant), self._last)

    def _read(self, catalog: Catalog) -> None:
        for change in changes(self._records(), self._known):
            self._last = max(self._last, change.offset)
            if change.state is not None and any(
                table.name == change.table and table.source.matches(change.database) for table in catalog
            ):
                self._relevant.append(change)

    def _records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for message in read_partitions(self._kafka, {(history_topic(self._server), 0): self._next}):
            offset = int(message.offset() or 0)
            yield offset, json.loads(message.value() or b"{}")
            self._next = offset + 1


def record_schema_changes(control: ControlDatabase, new: NewSchemaChanges) -> None:
    """Sets the conditions and moves the cursor. Idempotent. Blocks for the control database."""
    for change in new.changes:
        if change.state is not None:
            set_condition(control, change.table, change.database, change.state, change.reason)
    if new.last > cursor(control, SchemaChangeCursor, new.server):
        move_cursor(control, SchemaChangeCursor, new.server, new.last)


def changes(
    history: Iterator[tuple[int, dict[str, Any]]], known: dict[TableName, KnownTable]
) -> Iterator[SchemaChange]:
    """Every table change of the history, in order; a statement may cause two conditions.

    `history` yields (offset, record); `known` has the tables of the history before it, and is updated.
    """
    for offset, record in history:
        database = str(record.get("databaseName") or "")
        ddl = str(record.get("ddl") or "").strip()
        if DROP_DATABASE.match(ddl):
            for table in [table for table in known if table[0] == database]:
                yield _dropped(offset, table, ddl, known)
        for item in record.get("tableChanges") or ():
            yield from _changes(offset, database, ddl, item, known)


def _changes(
    offset: int, database: str, ddl: str, item: dict[str, Any], known: dict[TableName, KnownTable]
) -> Iterator[SchemaChange]:
    table = table_name(item["id"], database)
    if item["type"] == "DROP":
        if table in known:
            yield _dropped(offset, table, ddl, known)
        return
    previous = table_name(item["previousId"], database) if item.get("previousId") else table
    if previous != table and previous in known:
        yield _dropped(offset, previous, ddl, known)
    before = None if item["type"] == "CREATE" else known.get(table)
    columns = columns_of(item)
    causes = _causes(item["type"], ddl, before, columns)
    lost = frozenset() if before is None else (before.dropped | before.columns.keys()) - columns.keys()
    known[table] = KnownTable(columns, lost)
    for state, reason in causes.items() or {None: ""}.items():
        yield SchemaChange(offset, *table, state, f"{reason}: {_shortened(ddl)}" if state else "")


def _dropped(offset: int, table: TableName, ddl: str, known: dict[TableName, KnownTable]) -> SchemaChange:
    del known[table]
    reason = f"the source's rows went with {_shortened(ddl)}"
    return SchemaChange(offset, *table, NEEDS_VERIFICATION, reason)


def _shortened(ddl: str) -> str:
    return " ".join(ddl.split())[:MAX_DDL_CHARS]


def _causes(kind: str, ddl: str, before: KnownTable | None, after: Columns) -> dict[str, str]:
    """Condition -> why the statement causes it."""
    if kind == "CREATE":
        return {}
    found = effects(ddl)
    if Effect.UNKNOWN in found:
        return dict.fromkeys(
            (NEEDS_SNAPSHOT, NEEDS_VERIFICATION), "rows may have been changed or deleted without events"
        )
    causes = {}
    if reason := _outdated_reason(ddl, before, after, computes=Effect.COMPUTES in found):
        causes[NEEDS_SNAPSHOT] = reason
    if Effect.DELETES in found:
        causes[NEEDS_VERIFICATION] = "rows may have been deleted without events"
    return causes


def _outdated_reason(ddl: str, before: KnownTable | None, after: Columns, *, computes: bool) -> str:
    """Why the published rows may be outdated; empty if they are not."""
    if before is None or RENAMED.search(ddl):
        return "rows came with a renamed table"
    if computes:
        return "a column has values that were not captured as events"
    removed = before.columns.keys() - after.keys()
    for name, column in after.items():
        if name not in before.columns:
            if removed:
                return f"column {name!r} may be one that was renamed"
            if name in before.dropped:
                return f"column {name!r} was dropped before, and its old values are still in the copy"
            if not column["optional"] or column.get("defaultValueExpression") is not None:
                return f"column {name!r} has values that were not captured as events"
        elif _converts(before.columns[name], column):
            return f"column {name!r} has another type"
    return ""


def _converts(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether the change of type may have changed values: a wider integer or a longer text of the same kind
    does not."""
    if before["optional"] and not after["optional"]:
        return True
    old = before["typeName"].upper().split()
    new = after["typeName"].upper().split()
    if old != new:
        return not (
            old[0] in INTEGERS_BY_WIDTH
            and new[0] in INTEGERS_BY_WIDTH
            and old[1:] == new[1:]
            and INTEGERS_BY_WIDTH.index(new[0]) > INTEGERS_BY_WIDTH.index(old[0])
        )
    members = before.get("enumValues") or []
    if (
        before.get("scale") != after.get("scale")
        or (after.get("enumValues") or [])[: len(members)] != members
    ):
        return True
    return before.get("charsetName") != after.get("charsetName") or (after.get("length") or 0) < (
        before.get("length") or 0
    )
