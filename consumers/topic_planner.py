"""Planning of topics: those of the tables, of their dead letters, and of the connectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._metadata import TopicMetadata
from confluent_kafka.cimpl import NewTopic

from consumers.generations import await_topic, bind, identity, lookup
from core.clients.kafka import admin
from core.clients.topic_identity import TopicDescriber
from core.control import ControlDatabase
from core.control.table_health import ALL_SHARDS, NEEDS_SNAPSHOT, NEEDS_VERIFICATION, set_condition
from core.settings import MAX_MESSAGE_BYTES, Endpoints, TopicSettings
from schemas.catalog import Catalog
from schemas.names import dlq_of, topic_of
from schemas.plan_step import Phase, Step
from schemas.render.connect import internal_topics
from schemas.table import Metadata, Table

UNLIMITED = "-1"
"""Kafka's limit of a topic whose records never expire."""
RETENTION = "retention.ms"


def _duration(milliseconds: str) -> str:
    return "forever" if milliseconds == UNLIMITED else f"{int(milliseconds) / 3_600_000:g} hours"


def _summary(changed: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """`changed` has the live values of the settings that differ from the wanted ones."""
    if changed.keys() == {RETENTION}:
        return f"keep records {_duration(wanted[RETENTION])}, not {_duration(changed[RETENTION])}"
    return f"change {', '.join(changed)}"


def _loses_records(key: str, live: str, wanted: str) -> bool:
    """Whether records expire sooner by the change of a setting."""
    limits = key in (RETENTION, "retention.bytes")
    return limits and wanted != UNLIMITED and (live == UNLIMITED or int(wanted) < int(live))


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

    @cached_property
    def _wanted(self) -> dict[str, tuple[int, dict[str, str]]]:
        wanted = {
            topic_of(table): (self._settings.partitions, self._retention(table)) for table in self._catalog
        }
        wanted |= {dlq_of(topic): (1, {RETENTION: UNLIMITED}) for topic in list(wanted)}
        for server in self._servers:
            wanted |= {name: (1, config) for name, config in internal_topics(server).items()}
        return wanted

    def _config(self, name: str) -> dict[str, str]:
        """The settings of a wanted topic. Readers need each record: a compacted topic would lose some."""
        return {
            "cleanup.policy": "delete",
            "min.insync.replicas": str(self._settings.min_in_sync),
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            **self._wanted[name][1],
        }

    def _retention(self, table: Table) -> dict[str, str]:
        """Metadata is kept forever: it grows only with the tenants, and a new reader needs each row with its
        history."""
        hours = self._settings.retention_hours
        return {RETENTION: UNLIMITED if isinstance(table.source, Metadata) else str(hours * 3_600_000)}

    def plan(self) -> list[Step]:
        live = self._admin.list_topics(timeout=15).topics
        steps = []
        for name, (partitions, _) in sorted(self._wanted.items()):
            if name not in live:
                steps.append(Step(Phase.TOPIC, self.name, "create", name, f"{partitions} partitions"))
            elif (current := len(live[name].partitions)) != partitions:
                summary = (
                    f"recreate as the next generation: {current} partitions -> {partitions}; records that "
                    "have not landed are lost"
                )
                steps.append(Step(Phase.TOPIC, self.name, "change", name, summary, destructive=True))
        steps += self._config_steps(live)
        steps += self._replica_steps(live)
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

    def _config_steps(self, live: Mapping[str, TopicMetadata]) -> Iterator[Step]:
        """A step for each live topic whose settings differ from the wanted ones."""
        topics = [name for name in sorted(self._wanted) if name in live]
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in topics]
        described = self._admin.describe_configs(resources, request_timeout=15) if resources else {}
        for resource, future in described.items():
            name, current = resource.name, future.result(15)
            wanted = self._config(name)
            changed = {key: str(current[key].value) for key in wanted if current[key].value != wanted[key]}
            losses = [_loses_records(key, value, wanted[key]) for key, value in changed.items()]
            if changed:
                yield Step(
                    Phase.TOPIC_CONFIG,
                    self.name,
                    "change",
                    name,
                    _summary(changed, wanted),
                    tuple(f"~ {key}: {value} -> {wanted[key]}" for key, value in changed.items()),
                    destructive=any(losses),
                )

    def _replica_steps(self, live: Mapping[str, TopicMetadata]) -> Iterator[Step]:
        """Kafka's clients cannot change the number of replicas: the step says what can."""
        wanted = self._settings.replicas
        for name in sorted(self._wanted.keys() & live.keys()):
            counts = {len(partition.replicas) for partition in live[name].partitions.values()}
            if counts != {wanted}:
                summary = (
                    f"has {', '.join(map(str, sorted(counts)))} replicas, not {wanted}: change that by "
                    "kafka-reassign-partitions, or `replicas` in [topics]"
                )
                yield Step(Phase.TOPIC_CONFIG, self.name, "run", name, summary)

    def _is_bound(self, topic: str) -> bool:
        return lookup(self._control, topic, identity(self._describer, topic)) is not None

    def apply(self, step: Step) -> None:
        if step.phase is Phase.TOPIC_CONFIG:
            if step.action == "change":
                self._configure(step.subject)
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

    def _configure(self, name: str) -> None:
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
            for key, value in self._config(name).items()
        ]
        resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
        self._admin.incremental_alter_configs([resource])[resource].result(15)

    def _delete(self, name: str) -> None:
        self._admin.delete_topics([name], operation_timeout=30)[name].result(30)
        await_topic(self._describer, name, exists=False)

    def _create(self, name: str) -> None:
        partitions, _ = self._wanted[name]
        topic = NewTopic(
            name,
            num_partitions=partitions,
            replication_factor=self._settings.replicas,
            config=self._config(name),
        )
        self._admin.create_topics([topic], operation_timeout=30)[name].result(30)
        await_topic(self._describer, name, exists=True)
