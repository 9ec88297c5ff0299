"""From a record's schema id to the query that lands it, cached.

An id that has changed its meaning stops the table.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.dialects.mysql import insert

from consumers.envelope import parsed
from consumers.evolution import evolve
from core import logging
from core.clients.registry import Registry
from core.control import ControlDatabase
from core.control.models import KnownSchema
from core.errors import ContractError, PoisonError, StoppedError, TransientError
from core.wire import avro
from schemas.names import topic_of
from schemas.render.avro import Field, row_fields, unknown_fields
from schemas.render.landing import block_schema, landing_query, missing_required_columns
from schemas.table import Computed, Table

log = logging.get("lander")

KNOWN_TIMEOUT = 2.0
"""Seconds to wait for the registry to confirm a schema that the control database has."""
RESTORE = (
    "restore its storage, then `switchboard connectors restart`, as Connect caches the other registry's ids; "
    "records written "
    "meanwhile carry them: delete the table's topic, `switchboard apply`, `switchboard verify --repair`"
)


class RegistryStateLostError(TransientError):
    """The registry does not know a schema id that it served before: transient while it starts, else an
    operator must act."""


TopicGenerationKey = tuple[str, int]
"""A topic and its generation: the schema ids of another generation may be those of another registry."""

WidenTable = Callable[[Table, Table], None]
"""Widens the live table of the first for rows of the second, which may have more columns: see
`TableWidener.widen`."""


class History(Protocol):
    """`consumers.source_columns.SourceHistory`."""

    def dropped(self, table: str, names: frozenset[str]) -> dict[str, frozenset[str]]: ...

    def column_names(self, table: str, fields: frozenset[str]) -> dict[str, str]: ...


@dataclass(frozen=True)
class InsertPlan:
    """How records of one schema are landed: the rendered query, and the header of their Avro file."""

    query: str
    container_header: bytes
    schema: Any
    """For `envelope.decoded`."""
    missing: frozenset[str] = frozenset()
    """Required columns that the records do not have."""


class SchemaCache:
    """Insert plans by (topic, schema id, generation). Thread-safe."""

    def __init__(
        self, registry: Registry, control: ControlDatabase, widen: WidenTable, history: History
    ) -> None:
        self._registry = registry
        self._control = control
        self._widen = widen
        self._history = history
        self._plans: dict[tuple[str, int, int], InsertPlan] = {}
        self._lock = threading.Lock()

    def insert_plan(self, table: Table, schema_id: int, generation: int) -> InsertPlan:
        """Returns the plan for records with this schema id; blocks on the registry for a new one.

        Raises PoisonError (unknown id, a row to discard), StoppedError (policy freeze, a changed id, an unfit
        schema) or TransientError.
        """
        key = (topic_of(table), schema_id, generation)
        found = self._plans.get(key) or self._cached(key, table)
        if found.missing:
            self._check_dropped(table, schema_id, found.missing)
        return found

    def _cached(self, key: tuple[str, int, int], table: Table) -> InsertPlan:
        with self._lock:
            if key not in self._plans:
                try:
                    self._plans[key] = self._build(table, *key)
                except ContractError as error:
                    raise StoppedError(error.what, error.remedy) from error
            return self._plans[key]

    def forget(self, topics: Iterable[str]) -> None:
        """Drops the plans of these topics: their contract or their table in ClickHouse has changed."""
        dropped = set(topics)
        with self._lock:
            self._plans = {
                key: insert_plan for key, insert_plan in self._plans.items() if key[0] not in dropped
            }

    def _build(self, table: Table, topic: str, schema_id: int, generation: int) -> InsertPlan:
        envelope = json.loads(self.text((topic, generation), schema_id))
        fields = row_fields(envelope)
        missing = frozenset(column.name for column in missing_required_columns(table, envelope))
        if missing:
            log.warning(
                "records without required columns",
                table=table.name,
                schema_id=schema_id,
                columns=sorted(missing),
            )
        unknown = unknown_fields(table, fields)
        landed = evolve(table, schema_id, fields, unknown, self._column_names(table, unknown))
        self._widen(table, landed)
        query = landing_query(landed, envelope, generation)
        return InsertPlan(query, avro.container_header(block_schema(envelope)), parsed(envelope), missing)

    def _column_names(self, table: Table, fields: Iterable[Field]) -> dict[str, str]:
        """Returns field -> its column's name; only a field with an underscore may differ."""
        names = frozenset(field.name for field in fields if "_" in field.name)
        if not names or isinstance(table.source, Computed):
            return {}
        return self._history.column_names(table.name, names)

    def _check_dropped(self, table: Table, schema_id: int, missing: frozenset[str]) -> None:
        """Raises StoppedError if the source dropped a required column; records from before it existed are
        fine."""
        dropped = self._dropped(table, schema_id, missing)
        if dropped:
            names = sorted({name for names in dropped.values() for name in names})
            raise StoppedError(
                f"table {table.name!r}: the source dropped required column {', '.join(map(repr, names))} "
                f"({', '.join(sorted(dropped))})",
                "make the column optional in the contract, or remove it; then `switchboard apply`",
            )

    def _dropped(self, table: Table, schema_id: int, missing: frozenset[str]) -> dict[str, frozenset[str]]:
        """Returns dropped columns by database; a computed topic has one writer, whose older schemas show
        them."""
        if not isinstance(table.source, Computed):
            return self._history.dropped(table.name, missing)
        older = [
            envelope
            for number, envelope in self._registry.versions(f"{topic_of(table)}-value")
            if number < schema_id
        ]
        had = [
            missing - {column.name for column in missing_required_columns(table, envelope)}
            for envelope in older
        ]
        return {table.source.job: frozenset[str]().union(*had)} if any(had) else {}

    def text(self, topic_generation: TopicGenerationKey, schema_id: int) -> str:
        """Returns the schema's text, of a known id from the control database after comparing it with the
        registry's, if that answers."""
        known = self._known(topic_generation, schema_id)
        if known is None:
            return self._first_met(topic_generation, schema_id)
        served = self._served(schema_id)
        if served is None:
            log.warning("the registry does not answer: the stored schema is used", schema_id=schema_id)
            return known.schema
        if known.fingerprint != _fingerprint(served):
            raise StoppedError(
                f"schema id {schema_id} has another meaning than when it first came in {topic_generation[0]}",
                RESTORE,
            )
        return served

    def _first_met(self, topic_generation: TopicGenerationKey, schema_id: int) -> str:
        served = self._registry.schema(schema_id)
        newest = self._newest_known(topic_generation)
        if newest is not None:
            again = self._registry.schema(newest.schema_id)
            lost = f"the registry no longer knows schema id {newest.schema_id}"
            if again is None:
                raise RegistryStateLostError(f"{lost}: it is starting, or has lost its storage", RESTORE)
            if again != newest.schema:
                raise StoppedError(f"{lost} with the same meaning: it was replaced", RESTORE)
        if served is None:
            raise PoisonError(f"schema id {schema_id} is not in the registry")
        self._save(topic_generation, schema_id, served)
        return served

    def _served(self, schema_id: int) -> str | None:
        """None also if the registry is away."""
        try:
            return self._registry.schema(schema_id, KNOWN_TIMEOUT)
        except TransientError:
            return None

    def _known(self, topic_generation: TopicGenerationKey, schema_id: int) -> KnownSchema | None:
        with self._control.session() as session:
            return session.get(KnownSchema, (*topic_generation, schema_id))

    def _newest_known(self, topic_generation: TopicGenerationKey) -> KnownSchema | None:
        topic, generation = topic_generation
        of_it = select(KnownSchema).where(KnownSchema.topic == topic, KnownSchema.generation == generation)
        with self._control.session() as session:
            return session.scalar(of_it.order_by(KnownSchema.schema_id.desc()).limit(1))

    def _save(self, topic_generation: TopicGenerationKey, schema_id: int, text: str) -> None:
        topic, generation = topic_generation
        values = {
            "topic": topic,
            "generation": generation,
            "schema_id": schema_id,
            "fingerprint": _fingerprint(text),
            "schema": text,
        }
        with self._control.session() as session:
            session.execute(insert(KnownSchema).values(**values).prefix_with("IGNORE"))


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
