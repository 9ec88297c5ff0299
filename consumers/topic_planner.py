"""Planning of topics: those of the tables, of their dead letters, and of the connectors."""

from __future__ import annotations

from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.cimpl import NewTopic

from consumers.generations import await_topic, bind, identity, lookup
from core.clients.kafka import admin
from core.clients.topic_identity import TopicDescriber
from core.control import ControlDatabase
from core.control.table_health import ALL_SHARDS, NEEDS_SNAPSHOT, NEEDS_VERIFICATION, set_condition
from core.settings import Endpoints, TopicSettings
from schemas.catalog import Catalog
from schemas.names import dlq_of, topic_of
from schemas.plan_step import Phase, Step
from schemas.render.connect import internal_topics
from schemas.table import Metadata, Table

UNLIMITED = "-1"
"""Kafka's ``retention.ms`` of a topic whose records never expire."""


def _duration(milliseconds: str) -> str:
    return "forever" if milliseconds == UNLIMITED else f"{int(milliseconds) / 3_600_000:g} hours"


def _is_shorter(one: str, other: str) -> bool:
    return one != UNLIMITED and (other == UNLIMITED or int(one) < int(other))


class TopicPlanner:
    """Topics of the tables, of their dead letters, and of the connectors."""

    name = "topics"

    def __init__(
        self, endpoints: Endpoints, settings: TopicSettings, catalog: Catalog, control: ControlDatabase
    ) -> None:
        self._admin = admin(endpoints.kafka)
        self._describer = TopicDescriber(endpoints.kafka)
        self._settings = settings
        self._catalog = catalog
        self._control = control
        self._servers = [server.name for server in endpoints.mysql]

    def _wanted(self) -> dict[str, tuple[int, dict[str, str]]]:
        wanted = {
            topic_of(table): (self._settings.partitions, self._retention(table)) for table in self._catalog
        }
        wanted |= {dlq_of(topic): (1, {"retention.ms": UNLIMITED}) for topic in list(wanted)}
        for server in self._servers:
            wanted |= {name: (1, config) for name, config in internal_topics(server).items()}
        return wanted

    def _retention(self, table: Table) -> dict[str, str]:
        """Metadata is kept forever: it grows only with the tenants, and a new reader needs each row with its
        history."""
        hours = self._settings.retention_hours
        return {"retention.ms": UNLIMITED if isinstance(table.source, Metadata) else str(hours * 3_600_000)}

    def plan(self) -> list[Step]:
        live = self._admin.list_topics(timeout=15).topics
        steps = []
        for name, (partitions, _) in sorted(self._wanted().items()):
            if name not in live:
                steps.append(Step(Phase.TOPIC, self.name, "create", name, f"{partitions} partitions"))
            elif (current := len(live[name].partitions)) != partitions:
                summary = (
                    f"recreate as the next generation: {current} partitions -> {partitions}; records that "
                    "have not landed are lost"
                )
                steps.append(Step(Phase.TOPIC, self.name, "change", name, summary, destructive=True))
        steps += self._retentions([table for table in self._catalog if topic_of(table) in live])
        for table in self._catalog:
            topic = topic_of(table)
            if topic in live and not self._is_bound(topic):
                steps.append(
                    Step(
                        Phase.GENERATION,
                        self.name,
                        "run",
                        topic,
                        "bind this topic as its table's next generation",
                    )
                )
        return steps

    def _retentions(self, tables: list[Table]) -> list[Step]:
        wanted = {topic_of(table): self._retention(table)["retention.ms"] for table in tables}
        resources = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in sorted(wanted)]
        steps = []
        for resource, future in (
            self._admin.describe_configs(resources, request_timeout=15).items() if resources else ()
        ):
            topic, current = resource.name, future.result(15)["retention.ms"].value
            if current != wanted[topic]:
                summary = f"keep records {_duration(wanted[topic])}, not {_duration(current)}"
                steps.append(
                    Step(
                        Phase.RETENTION,
                        self.name,
                        "change",
                        topic,
                        summary,
                        destructive=_is_shorter(wanted[topic], current),
                    )
                )
        return steps

    def _is_bound(self, topic: str) -> bool:
        return lookup(self._control, topic, identity(self._describer, topic)) is not None

    def apply(self, step: Step) -> None:
        if step.phase is Phase.RETENTION:
            self._retain(step.subject)
            return
        if step.action == "change":
            self._delete(step.subject)
        if step.action != "run":
            self._create(step.subject)
        table = next((table for table in self._catalog if topic_of(table) == step.subject), None)
        if (
            table is not None
            and bind(self._control, step.subject, identity(self._describer, step.subject)) > 1
        ):
            reason = f"topic {step.subject} was recreated: changes that had not landed are lost"
            set_condition(self._control, table.name, ALL_SHARDS, NEEDS_SNAPSHOT, reason)
            set_condition(self._control, table.name, ALL_SHARDS, NEEDS_VERIFICATION, reason)

    def _retain(self, name: str) -> None:
        entry = ConfigEntry(
            "retention.ms",
            self._wanted()[name][1]["retention.ms"],
            incremental_operation=AlterConfigOpType.SET,
        )
        resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[entry])
        self._admin.incremental_alter_configs([resource])[resource].result(15)

    def _delete(self, name: str) -> None:
        self._admin.delete_topics([name], operation_timeout=30)[name].result(30)
        await_topic(self._describer, name, exists=False)

    def _create(self, name: str) -> None:
        partitions, config = self._wanted()[name]
        config = {
            **config,
            "min.insync.replicas": str(self._settings.min_in_sync),
            "max.message.bytes": str(16 << 20),
        }
        topic = NewTopic(
            name, num_partitions=partitions, replication_factor=self._settings.replicas, config=config
        )
        self._admin.create_topics([topic], operation_timeout=30)[name].result(30)
        await_topic(self._describer, name, exists=True)
