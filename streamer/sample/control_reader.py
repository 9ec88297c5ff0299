"""Reads the active generations, their topics and the sources from the control database, Kafka and MySQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from core import logging
from core.clients import mysql
from core.clients.topic_identity import TopicDescriber
from core.control import ControlDatabase
from core.control.models import TopicGeneration
from core.control.quarantine_store import list_quarantined
from core.control.result_versions import active_versions
from core.errors import SwitchboardError, TransientError
from core.settings import Endpoints
from schemas.names import topic_of
from schemas.table import Table
from streamer.sample.state import Sources

log = logging.get("streamer")


@dataclass(frozen=True)
class BoundTopic:
    """A topic's generation and its number of partitions."""

    generation: int
    partitions: int


@dataclass(frozen=True)
class ActiveTables:
    """The tables in their active generations, and those of their topics that exist and have a generation."""

    tables: tuple[Table, ...]
    topics: Mapping[str, BoundTopic]


class ControlReader:
    """Each call blocks, and raises TransientError if a server does not answer."""

    def __init__(self, endpoints: Endpoints, control: ControlDatabase, stopping: Callable[[], bool]) -> None:
        """A call that waits for Kafka raises TransientError once `stopping` returns true."""
        self._endpoints = endpoints
        self._control = control
        self._describer = TopicDescriber(endpoints.kafka, stopping)
        self._servers: dict[str, str] = {}

    def close(self) -> None:
        """Stops the process that describes topics."""
        self._describer.close()

    def active_tables(self, tables: Sequence[Table]) -> ActiveTables:
        """Returns these tables in their active generations, with their topics."""
        with _answering():
            chosen = active_versions(self._control)
        active = tuple(replace(table, generation=chosen.get(table.name, 1)) for table in tables)
        return ActiveTables(active, self._bound_topics([topic_of(table) for table in active]))

    def sources(self) -> Sources:
        """Returns the sources, with the servers as of the last `refresh_servers`."""
        with _answering():
            return Sources(
                dict(self._servers), frozenset(item.database for item in list_quarantined(self._control))
            )

    def refresh_servers(self) -> None:
        """Reads each server's shards; those of an unavailable server are kept. Never raises."""
        for server in self._endpoints.mysql:
            try:
                self._servers |= dict.fromkeys(mysql.databases(server), server.name)
            except SwitchboardError as error:
                log.warning("a server's shards cannot be read", server=server.name, error=error.what)

    def _bound_topics(self, topics: Sequence[str]) -> dict[str, BoundTopic]:
        """Topics are identified by cluster id and topic id, as in the landers: an earlier topic may have had
        the same name."""
        found = self._describer.identities(topics)
        with _answering(), self._control.session() as session:
            rows = session.scalars(select(TopicGeneration).where(TopicGeneration.topic.in_(topics))).all()
        generations = {(row.topic, row.cluster_id, row.topic_id): row.generation for row in rows}
        keys = {topic: (topic, identity.cluster_id, identity.topic_id) for topic, identity in found.items()}
        return {
            topic: BoundTopic(generations[key], found[topic].partitions)
            for topic, key in keys.items()
            if key in generations
        }


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise TransientError(
            f"the control database does not answer: {error.__cause__ or error}", "is MySQL running?"
        ) from error
