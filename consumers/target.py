"""Planning's part for topics and ClickHouse: what stands, what the contracts want, and the steps between."""

from __future__ import annotations

from collections.abc import Iterator

from clickhouse_connect.driver.client import Client
from confluent_kafka.cimpl import NewTopic

from consumers.generations import bind, identities, lookup
from core.clients import clickhouse
from core.clients.kafka import admin
from core.control import ControlDatabase
from core.errors import TransientError
from core.settings import Endpoints, TopicSettings
from schemas.catalog import Catalog
from schemas.names import dlq_of, topic_of
from schemas.render import clickhouse as render
from schemas.render.connect import internal_topics
from schemas.steps import Step
from schemas.table import Table


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
        for table in self._catalog:
            topic = topic_of(table)
            if topic in live and not self._is_bound(topic):
                steps.append(Step(11, self.name, "run", topic, "bind this topic as its table's next generation"))
        return steps

    def _is_bound(self, topic: str) -> bool:
        return lookup(self._control, topic, identities(self._admin, [topic])[topic]) is not None

    def apply(self, step: Step) -> None:
        if step.action == "create":
            self._create(step.subject)
        if step.subject in {topic_of(table) for table in self._catalog}:
            bind(self._control, step.subject, identities(self._admin, [step.subject])[step.subject])

    def _create(self, name: str) -> None:
        partitions, config = self._wanted()[name]
        config = {**config, "min.insync.replicas": str(self._settings.min_in_sync), "max.message.bytes": str(16 << 20)}
        topic = NewTopic(name, num_partitions=partitions, replication_factor=self._settings.replicas, config=config)
        self._admin.create_topics([topic], operation_timeout=30)[name].result(30)
        for _ in range(100):
            if identities(self._admin, [name]):
                return
        raise TransientError(f"topic {name} was made but is not seen yet", "run `switchboard apply` again")


class ClickHouseTarget:
    """Databases, physical tables and reading views."""

    name = "clickhouse"

    def __init__(self, endpoints: Endpoints, catalog: Catalog) -> None:
        self._endpoint = endpoints.clickhouse
        self._catalog = catalog

    def plan(self) -> list[Step]:
        client = clickhouse.connect(self._endpoint)
        live = self._live(client)
        steps = []
        for table in self._catalog:
            columns = live.get(table.name)
            if columns is None:
                summary = f"{len(table.columns)} columns, ordered by {', '.join(render.sorting_key(table))}"
                steps.append(Step(20, self.name, "create", table.name, summary))
            else:
                steps += self._changes(table, columns)
        return steps

    def _live(self, client: Client) -> dict[str, dict[str, str]]:
        query = f"SELECT table, name, type FROM system.columns WHERE database = '{render.ROWS}' ORDER BY table, position"
        live: dict[str, dict[str, str]] = {}
        for table, name, kind in client.query(query).result_rows:
            live.setdefault(table, {})[name] = kind
        return live

    def _changes(self, table: Table, live: dict[str, str]) -> Iterator[Step]:
        wanted = dict(render.all_columns(table))
        new = [name for name in wanted if name not in live]
        other = [name for name in wanted if name in live and _squeezed(wanted[name]) != _squeezed(live[name])]
        if new or other:
            diff = (
                *(f"+ {name} {wanted[name]}" for name in new),
                *(f"~ {name} {live[name]} -> {wanted[name]}" for name in other),
            )
            narrowed = any(_narrows(live[name], wanted[name]) for name in other)
            yield Step(21, self.name, "change", table.name, f"{len(diff)} columns", diff, destroys=narrowed)
        gone = [name for name in live if name not in wanted]
        if gone and table.unknown_column != "evolve":
            yield Step(
                22,
                self.name,
                "drop",
                table.name,
                "columns that the contract lacks",
                tuple(f"- {name}" for name in gone),
                True,
            )

    def apply(self, step: Step) -> None:
        client = clickhouse.connect(self._endpoint)
        table = self._catalog[step.subject]
        for database in (render.ROWS, render.READ):
            client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
        if step.action == "create":
            client.command(render.create_rows_table(table))
        for line in step.diff:
            mark, name = line[0], line[2:].split(" ")[0]
            if mark == "+":
                client.command(render.add_column(table, table.column(name)))
            elif mark == "~":
                client.command(render.modify_column(table, table.column(name)))
            elif mark == "-":
                client.command(render.drop_column(table, name))
        client.command(render.create_read_view(table))

    def add_columns(self, table: Table, evolved: Table) -> None:
        """Adds to the live table what `evolved` has and `table` lacks, and shows it in the view."""
        client = clickhouse.connect(self._endpoint)
        for column in evolved.columns[len(table.columns) :]:
            client.command(render.add_column(evolved, column))
        client.command(render.create_read_view(evolved))


def _squeezed(kind: str) -> str:
    return kind.replace(" ", "")


def _narrows(live: str, wanted: str) -> bool:
    """Whether a change of type could lose a value: everything but a wider integer, or null allowed."""
    if _squeezed(wanted) == f"Nullable({_squeezed(live)})":
        return False
    order = ["Int8", "Int16", "Int32", "Int64"]
    old, new = live.removeprefix("Nullable(").rstrip(")"), wanted.removeprefix("Nullable(").rstrip(")")
    for prefix in ("", "U"):
        names = [prefix + name for name in order]
        if old in names and new in names:
            return names.index(new) < names.index(old)
    return old != new or (live.startswith("Nullable") and not wanted.startswith("Nullable"))
