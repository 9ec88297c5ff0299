"""Planning's part for topics: those of the tables, of their dead letters, and of the connectors."""

from __future__ import annotations

from confluent_kafka.cimpl import NewTopic

from consumers.generations import bind, identities, lookup
from core.clients.kafka import admin
from core.control import ControlDatabase
from core.control.states import BACKFILL, EVERY_SHARD, FROZEN, mark
from core.errors import TransientError
from core.settings import Endpoints, TopicSettings
from schemas.catalog import Catalog
from schemas.names import dlq_of, topic_of
from schemas.render.connect import internal_topics
from schemas.steps import Step


class TopicTarget:
    """Topics of the tables, of their dead letters, and of the connectors."""

    name = "topics"

    def __init__(self, endpoints: Endpoints, settings: TopicSettings, catalog: Catalog, control: ControlDatabase) -> None:
        self._admin = admin(endpoints.kafka)
        self._settings = settings
        self._catalog = catalog
        self._control = control
        self._servers = [server.name for server in endpoints.mysql]

    def _wanted(self) -> dict[str, tuple[int, dict[str, str]]]:
        kept = {"retention.ms": str(self._settings.retention_hours * 3_600_000)}
        wanted = {topic_of(table): (self._settings.partitions, kept) for table in self._catalog}
        wanted |= {dlq_of(topic): (1, {"retention.ms": "-1"}) for topic in list(wanted)}
        for server in self._servers:
            wanted |= {name: (1, config) for name, config in internal_topics(server).items()}
        return wanted

    def plan(self) -> list[Step]:
        live = self._admin.list_topics(timeout=15).topics
        steps = []
        for name, (partitions, _) in sorted(self._wanted().items()):
            if name not in live:
                steps.append(Step(10, self.name, "create", name, f"{partitions} partitions"))
            elif (standing := len(live[name].partitions)) != partitions:
                summary = f"made anew as the next generation: {standing} partitions -> {partitions}; what has not landed is lost"
                steps.append(Step(10, self.name, "change", name, summary, destroys=True))
        for table in self._catalog:
            topic = topic_of(table)
            if topic in live and not self._is_bound(topic):
                steps.append(Step(11, self.name, "run", topic, "bind this topic as its table's next generation"))
        return steps

    def _is_bound(self, topic: str) -> bool:
        return lookup(self._control, topic, identities(self._admin, [topic])[topic]) is not None

    def apply(self, step: Step) -> None:
        if step.action == "change":
            self._delete(step.subject)
        if step.action != "run":
            self._create(step.subject)
        table = next((table for table in self._catalog if topic_of(table) == step.subject), None)
        if table is not None and bind(self._control, step.subject, identities(self._admin, [step.subject])[step.subject]) > 1:
            reason = f"topic {step.subject} was made anew: changes that had not landed are lost"
            mark(self._control, table.name, EVERY_SHARD, BACKFILL, reason)
            mark(self._control, table.name, EVERY_SHARD, FROZEN, reason)

    def _delete(self, name: str) -> None:
        self._admin.delete_topics([name], operation_timeout=30)[name].result(30)
        for _ in range(100):
            if not identities(self._admin, [name]):
                return
        raise TransientError(f"topic {name} was deleted but is still seen", "run `switchboard apply` again")

    def _create(self, name: str) -> None:
        partitions, config = self._wanted()[name]
        config = {**config, "min.insync.replicas": str(self._settings.min_in_sync), "max.message.bytes": str(16 << 20)}
        topic = NewTopic(name, num_partitions=partitions, replication_factor=self._settings.replicas, config=config)
        self._admin.create_topics([topic], operation_timeout=30)[name].result(30)
        for _ in range(100):
            if identities(self._admin, [name]):
                return
        raise TransientError(f"topic {name} was made but is not seen yet", "run `switchboard apply` again")
