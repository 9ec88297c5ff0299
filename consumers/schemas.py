"""From a record's schema id to the query that lands it, remembered; a changed meaning of an id stops the table."""

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
from schemas.render.avro import row_fields, unknown_fields
from schemas.render.landing import block_schema, lacking_columns, landing_query
from schemas.table import Computed, Table

log = logging.get("lander")

KNOWN_PATIENCE = 2.0
"""Seconds to wait for the registry to confirm a schema that is known without it."""
RESTORE = (
    "restore its storage, then `switchboard connectors restart`, as Connect remembers the other registry's ids; records written "
    "meanwhile carry them: delete the table's topic, `switchboard apply`, `switchboard verify --repair`"
)


class ForgetfulRegistryError(TransientError):
    """The registry does not know what it once told: a passing fault while it starts, else a person has to act."""


Made = tuple[str, int]
"""A topic and its generation: the ids of another making may have been another registry's."""

PrepareTable = Callable[[Table, Table], None]
"""Makes the live table of the first take rows of the second, which may have more columns: see `ClickHouseTarget.prepare`."""


class Dropped(Protocol):
    """`consumers.dropped.SourceHistory`."""

    def dropped(self, table: str, names: frozenset[str]) -> dict[str, frozenset[str]]: ...


@dataclass(frozen=True)
class Landing:
    """How records of one schema land: the rendered query, and the header of their Avro block."""

    query: str
    container_header: bytes
    schema: Any
    """For `envelope.decoded`."""
    lacking: frozenset[str] = frozenset()
    """Required columns that the records do not bring."""


class SchemaBook:
    """Landings by (topic, schema id, generation). Thread-safe; blocks on the registry for an id not met before."""

    def __init__(self, registry: Registry, control: ControlDatabase, prepare: PrepareTable, history: Dropped) -> None:
        self._registry = registry
        self._control = control
        self._prepare = prepare
        self._history = history
        self._landings: dict[tuple[str, int, int], Landing] = {}
        self._lock = threading.Lock()

    def landing(self, table: Table, schema_id: int, generation: int) -> Landing:
        """Raises PoisonError (unknown id, a row to discard), StoppedError (policy freeze, a changed id, an unfit schema) or
        TransientError."""
        key = (topic_of(table), schema_id, generation)
        found = self._landings.get(key) or self._made(key, table)
        if found.lacking:
            self._check_dropped(table, schema_id, found.lacking)
        return found

    def _made(self, key: tuple[str, int, int], table: Table) -> Landing:
        with self._lock:
            if key not in self._landings:
                try:
                    self._landings[key] = self._make(table, *key)
                except ContractError as error:
                    raise StoppedError(error.what, error.remedy) from error
            return self._landings[key]

    def forget(self, topics: Iterable[str]) -> None:
        """The landings of these topics are rendered anew: their contract, or what stands in ClickHouse, is another."""
        gone = set(topics)
        with self._lock:
            self._landings = {key: landing for key, landing in self._landings.items() if key[0] not in gone}

    def _make(self, table: Table, topic: str, schema_id: int, generation: int) -> Landing:
        envelope = json.loads(self.text((topic, generation), schema_id))
        fields = row_fields(envelope)
        lacking = frozenset(column.name for column in lacking_columns(table, envelope))
        if lacking:
            log.warning("records without required columns", table=table.name, schema_id=schema_id, columns=sorted(lacking))
        landed = evolve(table, schema_id, fields, unknown_fields(table, fields))
        self._prepare(table, landed)
        query = landing_query(landed, envelope, generation)
        return Landing(query, avro.container_header(block_schema(envelope)), parsed(envelope), lacking)

    def _check_dropped(self, table: Table, schema_id: int, lacking: frozenset[str]) -> None:
        """Records from before the column are fine. Raises StoppedError if the source had it and dropped it."""
        gone = self._dropped(table, schema_id, lacking)
        if gone:
            names = sorted({name for names in gone.values() for name in names})
            raise StoppedError(
                f"table {table.name!r}: the source dropped required column {', '.join(map(repr, names))} ({', '.join(sorted(gone))})",
                "make the column optional in the contract, or remove it; then `switchboard apply`",
            )

    def _dropped(self, table: Table, schema_id: int, lacking: frozenset[str]) -> dict[str, frozenset[str]]:
        """By database; what a job computes has one writer, whose older schemas tell."""
        if not isinstance(table.source, Computed):
            return self._history.dropped(table.name, lacking)
        older = [envelope for number, envelope in self._registry.versions(f"{topic_of(table)}-value") if number < schema_id]
        had = [lacking - {column.name for column in lacking_columns(table, envelope)} for envelope in older]
        return {table.source.job: frozenset[str]().union(*had)} if any(had) else {}

    def text(self, made: Made, schema_id: int) -> str:
        """The schema's text: from memory if it was met before, and held against the registry if that answers."""
        known = self._known(made, schema_id)
        if known is None:
            return self._first_met(made, schema_id)
        served = self._served(schema_id)
        if served is None:
            log.warning("the schema is taken from memory, as the registry does not tell it", schema_id=schema_id)
            return known.schema
        if known.fingerprint != _fingerprint(served):
            raise StoppedError(f"schema id {schema_id} means something else than when it was first met in {made[0]}", RESTORE)
        return served

    def _first_met(self, made: Made, schema_id: int) -> str:
        served = self._registry.schema(schema_id)
        newest = self._newest_known(made)
        if newest is not None:
            again = self._registry.schema(newest.schema_id)
            lost = f"the registry no longer knows schema id {newest.schema_id}"
            if again is None:
                raise ForgetfulRegistryError(f"{lost}: it starts just now, or came back empty", RESTORE)
            if again != newest.schema:
                raise StoppedError(f"{lost} as it was: it was replaced", RESTORE)
        if served is None:
            raise PoisonError(f"schema id {schema_id} is not in the registry")
        self._remember(made, schema_id, served)
        return served

    def _served(self, schema_id: int) -> str | None:
        """None also if the registry is away."""
        try:
            return self._registry.schema(schema_id, KNOWN_PATIENCE)
        except TransientError:
            return None

    def _known(self, made: Made, schema_id: int) -> KnownSchema | None:
        with self._control.session() as session:
            return session.get(KnownSchema, (*made, schema_id))

    def _newest_known(self, made: Made) -> KnownSchema | None:
        topic, generation = made
        of_it = select(KnownSchema).where(KnownSchema.topic == topic, KnownSchema.generation == generation)
        with self._control.session() as session:
            return session.scalar(of_it.order_by(KnownSchema.schema_id.desc()).limit(1))

    def _remember(self, made: Made, schema_id: int, text: str) -> None:
        topic, generation = made
        values = {"topic": topic, "generation": generation, "schema_id": schema_id, "fingerprint": _fingerprint(text), "schema": text}
        with self._control.session() as session:
            session.execute(insert(KnownSchema).values(**values).prefix_with("IGNORE"))


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
