"""From a record's schema id to the query that lands it, remembered; a changed meaning of an id stops the table."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.mysql import insert

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
from schemas.table import Column, Table

log = logging.get("lander")

KNOWN_PATIENCE = 2.0
"""Seconds to wait for the registry to confirm a schema that is known without it."""
RESTORE = (
    "restore its storage, then `switchboard connectors restart`, as Connect remembers the other registry's ids; records written "
    "meanwhile carry them: delete the table's topic, `switchboard apply`, start the landers again, `switchboard verify --repair`"
)

AddColumns = Callable[[Table, Table], None]
"""Adds to the live table the columns that the second has and the first lacks."""


@dataclass(frozen=True)
class Landing:
    """How records of one schema land: the rendered query, and the header of their Avro block."""

    query: str
    container_header: bytes


class SchemaBook:
    """Landings by (topic, schema id, generation). Thread-safe; blocks on the registry for an id not met before."""

    def __init__(self, registry: Registry, control: ControlDatabase, add_columns: AddColumns) -> None:
        self._registry = registry
        self._control = control
        self._add_columns = add_columns
        self._landings: dict[tuple[str, int, int], Landing] = {}
        self._lock = threading.Lock()

    def landing(self, table: Table, schema_id: int, generation: int) -> Landing:
        """Raises PoisonError (unknown id, a row to discard) or StoppedError (policy freeze, a changed id, an unfit schema)."""
        key = (topic_of(table), schema_id, generation)
        if (found := self._landings.get(key)) is not None:
            return found
        with self._lock:
            if key not in self._landings:
                try:
                    self._landings[key] = self._make(table, schema_id, generation)
                except ContractError as error:
                    raise StoppedError(error.what, error.remedy) from error
            return self._landings[key]

    def _make(self, table: Table, schema_id: int, generation: int) -> Landing:
        envelope = json.loads(self.text(schema_id))
        fields = row_fields(envelope)
        if lacking := lacking_columns(table, envelope):
            self._check_dropped(table, schema_id, lacking)
        unknown = unknown_fields(table, fields)
        landed = evolve(table, schema_id, fields, unknown)
        if landed is not table:
            self._add_columns(table, landed)
        query = landing_query(landed, envelope, generation)
        return Landing(query, avro.container_header(block_schema(envelope)))

    def _check_dropped(self, table: Table, schema_id: int, lacking: tuple[Column, ...]) -> None:
        """A schema older than the column is fine. Raises StoppedError if an older one had it: then the source dropped it."""
        names = {column.name for column in lacking}
        for identity, envelope in self._registry.versions(f"{topic_of(table)}-value"):
            had = names - {column.name for column in lacking_columns(table, envelope)}
            if identity < schema_id and had:
                raise StoppedError(
                    f"table {table.name!r}: the source dropped required column {', '.join(map(repr, sorted(had)))}",
                    "make the column optional in the contract, or remove it; apply; then start the landers again",
                )
        log.warning("records older than required columns", table=table.name, schema_id=schema_id, columns=sorted(names))

    def text(self, schema_id: int) -> str:
        """The schema's text: from memory if it was met before, and held against the registry if that answers."""
        known = self._known(schema_id)
        if known is None:
            return self._first_met(schema_id)
        served = self._served(schema_id)
        if served is None:
            log.warning("the schema is taken from memory, as the registry does not tell it", schema_id=schema_id)
            return known.schema
        if known.fingerprint != _fingerprint(served):
            raise StoppedError(f"schema id {schema_id} means something else than when it was first met", RESTORE)
        return served

    def _first_met(self, schema_id: int) -> str:
        served = self._registry.schema(schema_id)
        newest = self._newest_known()
        if newest is not None and self._registry.schema(newest.schema_id) != newest.schema:
            raise StoppedError(f"the registry no longer knows schema id {newest.schema_id}: it was replaced, or came back empty", RESTORE)
        if served is None:
            raise PoisonError(f"schema id {schema_id} is not in the registry")
        self._remember(schema_id, _fingerprint(served), served)
        return served

    def _served(self, schema_id: int) -> str | None:
        """None also if the registry is away."""
        try:
            return self._registry.schema(schema_id, KNOWN_PATIENCE)
        except TransientError:
            return None

    def _known(self, schema_id: int) -> KnownSchema | None:
        with self._control.session() as session:
            return session.get(KnownSchema, schema_id)

    def _newest_known(self) -> KnownSchema | None:
        with self._control.session() as session:
            return session.scalar(select(KnownSchema).order_by(KnownSchema.schema_id.desc()).limit(1))

    def _remember(self, schema_id: int, fingerprint: str, text: str) -> None:
        values: dict[str, Any] = {"schema_id": schema_id, "fingerprint": fingerprint, "schema": text}
        with self._control.session() as session:
            session.execute(insert(KnownSchema).values(**values).prefix_with("IGNORE"))


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
