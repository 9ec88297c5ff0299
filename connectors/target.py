"""Planning's part for Kafka Connect: one connector a MySQL server, and the snapshots that fill its tables."""

from __future__ import annotations

import json
import time

from sqlalchemy import select, update

from connectors.preflight import inspect
from connectors.rest import KafkaConnect, root_cause
from connectors.snapshots import follow, request_snapshot
from core.clients import mysql
from core.control import ControlDatabase
from core.control.models import Run, utc_now
from core.errors import MisconfiguredError, TransientError
from core.settings import Endpoints, MySqlServer
from schemas.catalog import Catalog
from schemas.names import topic_of
from schemas.render.connect import connector_name, source_config
from schemas.steps import Step
from schemas.table import Table

SNAPSHOT = "snapshot"
SETTLE_SECONDS = 10.0
"""For so long Connect may still show the failure of the task before the change."""


class ConnectTarget:
    name = "connect"

    def __init__(self, endpoints: Endpoints, catalog: Catalog, control: ControlDatabase) -> None:
        self._endpoints = endpoints
        self._catalog = catalog
        self._control = control
        self._connect = KafkaConnect(endpoints.connect)

    def plan(self) -> list[Step]:
        steps = []
        for server in self._endpoints.mysql:
            name, wanted = connector_name(server.name), self._config(server)
            live = self._connect.config(name)
            if live is None:
                steps.append(Step(30, self.name, "create", name, f"Debezium on {server.host}:{server.port}"))
            elif diff := _diff(live, {**wanted, "name": name}):
                steps.append(Step(30, self.name, "change", name, f"{len(diff)} settings", diff))
            elif failures := _failures(self._states(name)):
                steps.append(Step(30, self.name, "run", name, f"restart; it failed: {failures[0]}"))
            steps += [
                Step(31, self.name, "run", f"{server.name}/{collection}", f"incremental snapshot into {topic_of(table)}")
                for collection, table in self._collections(server)
                if not self._requested(server, collection)
            ]
        return steps

    def _config(self, server: MySqlServer) -> dict[str, str]:
        return source_config(self._catalog, server, self._endpoints.registry, self._endpoints.kafka)

    def _collections(self, server: MySqlServer) -> list[tuple[str, Table]]:
        """(database.table, contract) of what stands on the server now."""
        rows = mysql.rows(server, "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'")
        standing = {(str(schema), str(name)) for schema, name in rows}
        return sorted(
            ((f"{schema}.{name}", table) for schema, name in standing for table in self._catalog if _is(table, schema, name)),
            key=lambda pair: pair[0],
        )

    def _requested(self, server: MySqlServer, collection: str) -> bool:
        with self._control.session() as session:
            query = select(Run.id).where(Run.kind == SNAPSHOT, Run.subject == f"{server.name}/{collection}")
            return session.scalar(query.limit(1)) is not None

    def apply(self, step: Step) -> None:
        server, _, collection = step.subject.partition("/")
        if collection:
            self._snapshot(server, collection)
            return
        self._preflight()
        if step.action == "run":
            self._connect.change(step.subject, "restart")
        else:
            owner = next(server for server in self._endpoints.mysql if connector_name(server.name) == step.subject)
            self._connect.put(step.subject, self._config(owner))
        self._wait_running(step.subject)

    def wait_snapshots(self, limit: float) -> list[str]:
        """Blocks until every snapshot asked for has been read, `limit` seconds at most; returns those that are not yet."""
        deadline = time.monotonic() + limit
        while True:
            for server in self._endpoints.mysql:
                events = follow(self._endpoints, server.name, limit=10)
                read = {f"{server.name}/{event.collection}" for event in events if event.kind == "TABLE_SCAN_COMPLETED"}
                self._completed(read)
            with self._control.session() as session:
                waiting = list(session.scalars(select(Run.subject).where(Run.kind == SNAPSHOT, Run.status == "REQUESTED")))
            if not waiting or time.monotonic() > deadline:
                return waiting
            time.sleep(0.5)

    def _completed(self, subjects: set[str]) -> None:
        with self._control.session() as session:
            chosen = update(Run).where(Run.kind == SNAPSHOT, Run.status == "REQUESTED", Run.subject.in_(subjects))
            session.execute(chosen.values(status="COMPLETED", ended_at=utc_now()))

    def _preflight(self) -> None:
        """Raises MisconfiguredError with every finding that keeps a connector from being made."""
        fatal = [finding for finding in inspect(self._endpoints.mysql, self._catalog) if finding.severity == "fatal"]
        if fatal:
            what = "; ".join(f"{finding.subject}: {finding.what}" for finding in fatal)
            raise MisconfiguredError(f"preflight: {what}", "; ".join(dict.fromkeys(finding.remedy for finding in fatal)))

    def _snapshot(self, server: str, collection: str) -> None:
        identity = request_snapshot(self._endpoints.kafka, server, [collection])
        with self._control.session() as session:
            session.add(Run(kind=SNAPSHOT, subject=f"{server}/{collection}", status="REQUESTED", detail={"signal": identity}))

    def _wait_running(self, name: str, limit: float = 90) -> None:
        started = time.monotonic()
        while time.monotonic() < started + limit:
            states = self._states(name)
            if len(states) > 1 and all(state["state"] == "RUNNING" for state in states):
                return
            if (failures := _failures(states)) and time.monotonic() - started > SETTLE_SECONDS:
                raise TransientError(f"connector {name} failed: {failures[0]}", "mend the cause, then apply again")
            time.sleep(0.2)
        raise TransientError(f"connector {name} does not run after {limit:.0f} s", "`switchboard logs connect` may tell why")

    def _states(self, name: str) -> list[dict[str, str]]:
        """The connector's own state, then its tasks'."""
        status = self._connect.status(name)
        return [status["connector"], *status["tasks"]] if status else []


def _failures(states: list[dict[str, str]]) -> list[str]:
    return [root_cause(state.get("trace", "")) for state in states if state["state"] == "FAILED"]


def _is(table: Table, database: str, name: str) -> bool:
    return table.name == name and table.source.holds(database)


def _diff(live: dict[str, str], wanted: dict[str, str]) -> tuple[str, ...]:
    changed = [name for name in sorted({*live, *wanted}) if live.get(name) != wanted.get(name)]
    return tuple(f"~ {name}: {json.dumps(live.get(name))} -> {json.dumps(wanted.get(name))}" for name in changed)
