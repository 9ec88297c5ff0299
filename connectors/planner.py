"""Plans the connectors' configs and snapshots."""

from __future__ import annotations

import json
from collections.abc import Iterator

from connectors.capture import CaptureChanges
from connectors.capture_service import MISSED_CHANGES, CaptureService
from connectors.capture_state import CaptureReader, CaptureState, MissingSnapshot
from connectors.rest import Config, KafkaConnect, failures
from core.control import ControlDatabase
from core.settings import Endpoints, MySqlServer
from schemas.catalog import Catalog
from schemas.names import topic_of
from schemas.plan_step import Phase, Step
from schemas.render.connect import connector_name


class ConnectPlanner:
    """Plans the connectors' configs and snapshots, and lets `CaptureService` apply them.

    Its methods block for Connect, Kafka and MySQL. A plan changes none of them.
    """

    name = "connect"

    def __init__(self, endpoints: Endpoints, catalog: Catalog, control: ControlDatabase) -> None:
        self._endpoints = endpoints
        self._connect = KafkaConnect(endpoints.connect)
        self._reader = CaptureReader(endpoints, catalog, control)
        self._service = CaptureService(endpoints, catalog, control)

    def plan(self) -> list[Step]:
        state = self._reader.state()
        return [step for server in self._endpoints.mysql for step in self._steps(server, state)]

    def _steps(self, server: MySqlServer, state: CaptureState) -> Iterator[Step]:
        wanted = self._reader.config(server)
        live = self._connect.config(connector_name(server.name))
        moved = self._reader.capture_changes(server, live, wanted)
        yield from _drop_steps(server.name, moved)
        yield from self._connector_step(server, live, wanted, moved)
        yield from self._snapshot_step(server, state)

    def _connector_step(
        self, server: MySqlServer, live: Config | None, wanted: Config, moved: CaptureChanges
    ) -> Iterator[Step]:
        name = connector_name(server.name)
        again = tuple(f"> {'.'.join(table)} is re-snapshotted; {MISSED_CHANGES}" for table in moved.resumed)
        if live is None:
            summary = f"Debezium on {server.host}:{server.port}"
            yield Step(Phase.CONNECTOR, self.name, "create", name, summary, again)
        elif diff := _diff(live, {**wanted, "name": name}):
            yield Step(Phase.CONNECTOR, self.name, "change", name, f"{len(diff)} settings", diff + again)
        elif causes := failures(self._connect.states(name)):
            yield Step(Phase.CONNECTOR, self.name, "run", name, f"restart; it failed: {causes[0]}")

    def _snapshot_step(self, server: MySqlServer, state: CaptureState) -> Iterator[Step]:
        missing = self._reader.missing_snapshots(server, state)
        if missing:
            summary = f"{len(missing)} incremental snapshots"
            lines = tuple(map(_snapshot_line, missing))
            yield Step(Phase.SNAPSHOT, self.name, "run", f"{server.name}/snapshots", summary, lines)

    def apply(self, step: Step) -> None:
        name, _, rest = step.subject.partition("/")
        if step.action == "run" and rest:
            self._service.request_missing_snapshots(self._endpoints.mysql_named(name))
            return
        self._service.preflight()
        if step.action == "drop":
            self._service.reconfigure(self._endpoints.mysql_named(name))
            return
        owner = next(
            server for server in self._endpoints.mysql if connector_name(server.name) == step.subject
        )
        if step.action == "run":
            self._service.restart(owner)
        else:
            self._service.reconfigure(owner)


def _drop_steps(server: str, found: CaptureChanges) -> Iterator[Step]:
    """A destructive step for each table that is no longer captured: its changes from then on are lost."""
    for table in sorted({table for _, table in found.stopped}):
        lines = tuple(f"- {database}.{name}" for database, name in found.stopped if name == table)
        summary = f"no longer captured in {len(lines)} databases: their changes from now on will be missing"
        subject = f"{server}/{table}"
        yield Step(Phase.STOP_CAPTURE, ConnectPlanner.name, "drop", subject, summary, lines, destructive=True)


def _snapshot_line(missing: MissingSnapshot) -> str:
    again = f" again; {missing.reason}" if missing.reason else ""
    return f"> {missing.collection} into {topic_of(missing.table)}{again}"


def _diff(live: Config, wanted: Config) -> tuple[str, ...]:
    changed = [name for name in sorted({*live, *wanted}) if live.get(name) != wanted.get(name)]
    return tuple(
        f"~ {name}: {json.dumps(live.get(name))} -> {json.dumps(wanted.get(name))}" for name in changed
    )
