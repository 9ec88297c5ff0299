"""On what the view stands: generations, topics and sources, as the control database, Kafka and MySQL tell them."""

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
from streamer.state import Sources

log = logging.get("streamer")


@dataclass(frozen=True)
class JobRun:
    """Which making of a topic this is, and its partitions."""

    generation: int
    partitions: int


@dataclass(frozen=True)
class Footing:
    """The tables in the generations in force, and their topics: one that is not there, or not bound yet, is not among them."""

    tables: tuple[Table, ...]
    topics: Mapping[str, JobRun]


class Ground:
    """Each call blocks, and raises TransientError where a server does not answer."""

    def __init__(self, endpoints: Endpoints, control: ControlDatabase, stopping: Callable[[], bool]) -> None:
        """Once `stopping` says so, what waits for Kafka raises TransientError at once."""
        self._endpoints = endpoints
        self._control = control
        self._describer = TopicDescriber(endpoints.kafka, stopping)
        self._servers: dict[str, str] = {}

    def close(self) -> None:
        """Ends the process that describes topics."""
        self._describer.close()

    def footing(self, tables: Sequence[Table]) -> Footing:
        with _answering():
            chosen = active_versions(self._control)
        there = tuple(replace(table, generation=chosen.get(table.name, 1)) for table in tables)
        return Footing(there, self._makings([topic_of(table) for table in there]))

    def sources(self) -> Sources:
        """With the servers as `learn_servers` found them last."""
        with _answering():
            return Sources(dict(self._servers), frozenset(held.database for held in list_quarantined(self._control)))

    def learn_servers(self) -> None:
        """A server that is away keeps what it was known to hold. Raises nothing."""
        for server in self._endpoints.mysql:
            try:
                self._servers |= dict.fromkeys(mysql.databases(server), server.name)
            except SwitchboardError as error:
                log.warning("a server's shards are not told", server=server.name, error=error.what)

    def _makings(self, topics: Sequence[str]) -> dict[str, JobRun]:
        """By (cluster id, topic id), as the landers know them: a name may have been another topic's before."""
        found = self._describer.identities(topics)
        with _answering(), self._control.session() as session:
            rows = session.scalars(select(TopicGeneration).where(TopicGeneration.topic.in_(topics))).all()
        bound = {(row.topic, row.cluster_id, row.topic_id): row.generation for row in rows}
        keys = {topic: (topic, identity.cluster_id, identity.topic_id) for topic, identity in found.items()}
        return {topic: JobRun(bound[key], found[topic].partitions) for topic, key in keys.items() if key in bound}


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise TransientError(f"the control database does not answer: {error.__cause__ or error}", "is MySQL running?") from error
