"""Plans and applies Kafka Connect's part: one connector per MySQL server, and the snapshots that fill its
tables."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from connectors.binlog import end, has_read
from connectors.capture import CaptureChanges, TableName, capture_changes, save_capture, saved_capture
from connectors.preflight import inspect
from connectors.resnapshots import Collection, clear_completed, pending_resnapshot
from connectors.rest import Config, KafkaConnect, root_cause
from connectors.schema_changes import record_schema_changes
from connectors.snapshot_tracker import COMPLETED, FAILED, REQUESTED, LatestSnapshot, SnapshotTracker
from connectors.snapshots import notification_end_offset, task_started_since
from core import logging
from core.clients import mysql
from core.control import ControlDatabase
from core.control.quarantine_store import list_quarantined
from core.control.table_health import (
    NEEDS_SNAPSHOT,
    NEEDS_VERIFICATION,
    TableCondition,
    conditions,
    set_condition,
)
from core.errors import MisconfiguredError, TransientError
from core.settings import Endpoints, MySqlServer
from schemas.catalog import Catalog
from schemas.names import topic_of
from schemas.plan_step import Phase, Step
from schemas.render.connect import TABLES, connector_name, source_config
from schemas.table import Table

RESTART_SECONDS = 10.0
"""For this long after a change, Connect may still report the previous task's failure."""
MISSED_CHANGES = "it was not captured for a while: changes and deletes of that time are missing"

log = logging.get("connectors")


class ConnectPlanner:
    """Plans and applies the connectors' configs and snapshots.

    Its methods block for Connect, Kafka and MySQL.
    """

    name = "connect"

    def __init__(self, endpoints: Endpoints, catalog: Catalog, control: ControlDatabase) -> None:
        self._endpoints = endpoints
        self._catalog = catalog.captured
        self._control = control
        self._tracker = SnapshotTracker(endpoints, control)
        self._connect = KafkaConnect(endpoints.connect)

    def plan(self) -> list[Step]:
        self.refresh_state()
        states = conditions(self._control)
        steps: list[Step] = []
        for server in self._endpoints.mysql:
            name, wanted = connector_name(server.name), self._config(server)
            live = self._connect.config(name)
            moved = self._capture_changes(server, live, wanted)
            steps += _drop_steps(server.name, moved)
            again = tuple(
                f"> {'.'.join(table)} is re-snapshotted; {MISSED_CHANGES}" for table in moved.resumed
            )
            if live is None:
                steps.append(
                    Step(
                        Phase.CONNECTOR,
                        self.name,
                        "create",
                        name,
                        f"Debezium on {server.host}:{server.port}",
                        again,
                    )
                )
            elif diff := _diff(live, {**wanted, "name": name}):
                steps.append(
                    Step(Phase.CONNECTOR, self.name, "change", name, f"{len(diff)} settings", diff + again)
                )
            elif failures := _failures(self._states(name)):
                steps.append(
                    Step(Phase.CONNECTOR, self.name, "run", name, f"restart; it failed: {failures[0]}")
                )
            if found := self._snapshots(server, states):
                steps.append(
                    Step(
                        Phase.SNAPSHOT,
                        self.name,
                        "run",
                        f"{server.name}/snapshots",
                        f"{len(found)} incremental snapshots",
                        tuple(found.values()),
                    )
                )
        return steps

    def refresh_state(self) -> None:
        """Records what DDL invalidated since the last call, and clears the conditions whose snapshots
        completed."""
        collections: list[Collection] = []
        snapshots: dict[tuple[str, str], LatestSnapshot] = {}
        for server in self._endpoints.mysql:
            if self._connect.config(connector_name(server.name)) is not None:
                record_schema_changes(self._endpoints.kafka, self._control, self._catalog, server.name)
            collections += [(server.name, database, table) for database, table in self.collections(server)]
            snapshots |= {
                (server.name, name): snapshot for name, snapshot in self._tracker.latest(server.name).items()
            }
        clear_completed(self._control, conditions(self._control), collections, snapshots)

    def _config(self, server: MySqlServer) -> dict[str, str]:
        endpoints = self._endpoints
        return source_config(
            self._catalog,
            server,
            endpoints.registry,
            endpoints.kafka,
            endpoints.connect.value_converter,
            self._quarantined(server),
        )

    def _quarantined(self, server: MySqlServer) -> frozenset[str]:
        return frozenset(
            item.database for item in list_quarantined(self._control) if item.server == server.name
        )

    def _capture_changes(self, server: MySqlServer, live: Config | None, wanted: Config) -> CaptureChanges:
        before = live if live is not None else saved_capture(self._control, server.name)
        if before is None or before.get(TABLES) == wanted[TABLES]:
            return CaptureChanges()
        return capture_changes(before, wanted, _tables_on(server), self._tracker.latest(server.name))

    def collections(self, server: MySqlServer) -> list[tuple[str, Table]]:
        """(database, contract) of each captured table that exists on the server now."""
        return sorted(
            (
                (schema, table)
                for schema, name in _tables_on(server)
                for table in self._catalog
                if _describes(table, schema, name)
            ),
            key=lambda pair: (pair[0], pair[1].name),
        )

    def invalidate(self, server: MySqlServer, reason: str) -> list[str]:
        """Marks every table of the server, as changes of it may be missing; returns the ``database.table`` of
        each."""
        found = self.collections(server)
        for database, table in found:
            self._invalidate(database, table.name, reason)
        return [f"{database}.{table.name}" for database, table in found]

    def _invalidate(self, database: str, table: str, reason: str) -> None:
        """The rows have to be read again, and a verification has to find what was deleted meanwhile."""
        set_condition(self._control, table, database, NEEDS_SNAPSHOT, reason)
        set_condition(self._control, table, database, NEEDS_VERIFICATION, reason)

    def _snapshots(self, server: MySqlServer, states: list[TableCondition]) -> dict[str, str]:
        """Collection -> the plan's line with the reason for its snapshot."""
        snapshots, absent = self._tracker.latest(server.name), self._quarantined(server)
        found = {}
        for database, table in self.collections(server):
            name = f"{database}.{table.name}"
            snapshot = snapshots.get(name)
            why = _reason(
                snapshot, pending_resnapshot(states, table, database, snapshot) if snapshot else None
            )
            if why is not None and database not in absent:
                found[name] = f"> {name} into {topic_of(table)}{why}"
        return found

    def apply(self, step: Step) -> None:
        name, _, rest = step.subject.partition("/")
        if step.action == "run" and rest:
            self.request_pending_snapshots(self._endpoints.mysql_named(name))
            return
        self.preflight()
        if step.action == "drop":
            self.reconfigure(self._endpoints.mysql_named(name))
            return
        owner = next(
            server for server in self._endpoints.mysql if connector_name(server.name) == step.subject
        )
        if step.action != "run":
            self.reconfigure(owner)
            return
        since = notification_end_offset(self._endpoints.kafka, owner.name)
        self._connect.change(step.subject, "restart")
        self._wait_running(owner, since)

    def reconfigure(self, server: MySqlServer) -> None:
        """Updates the server's connector to its config and blocks until a task with it runs, for 90 s at
        most."""
        name, wanted = connector_name(server.name), self._config(server)
        since = notification_end_offset(self._endpoints.kafka, server.name)
        live = self._connect.config(name)
        if live != {**wanted, "name": name}:
            for database, table in self._capture_changes(server, live, wanted).resumed:
                self._invalidate(database, table, MISSED_CHANGES)
            self._connect.put(name, wanted)
            save_capture(self._control, server.name, wanted)
        elif _failures(self._states(name)):
            self._connect.change(name, "restart")
        else:
            return
        self._wait_running(server, since)

    def wait_until_caught_up(self, server: MySqlServer, limit: float = 60) -> None:
        """Blocks until the connector has read everything committed at the call.

        Raises TransientError after `limit` seconds.
        """
        name, wanted, deadline = connector_name(server.name), end(server), time.monotonic() + limit
        while not has_read(server, self._connect.offsets(name), wanted):
            if time.monotonic() > deadline:
                raise TransientError(
                    f"connector {name} has not caught up in {limit:.0f} s",
                    f"`switchboard connectors status {name}`",
                )
            time.sleep(0.5)

    def request_pending_snapshots(self, server: MySqlServer) -> list[str]:
        """Requests the snapshots that a plan shows for the server; returns their collections.

        One signal requests all of them: a signal that arrives while Debezium ends the previous snapshot may
        be lost.
        """
        found = list(self._snapshots(server, conditions(self._control)))
        if found:
            self._tracker.request(server.name, found)
        return found

    def retry_failed_snapshots(self) -> list[str]:
        """Requests the snapshots again that Debezium aborted or lost; returns ``server/database.table`` of
        each."""
        requested = []
        for server in self._endpoints.mysql:
            failed = [
                name
                for name, snapshot in self._tracker.latest(server.name).items()
                if snapshot.status == FAILED
            ]
            if failed:
                self._tracker.request(server.name, failed)
                log.warning("snapshots requested again", server=server.name, collections=failed)
            requested += [f"{server.name}/{name}" for name in failed]
        return requested

    def wait_snapshots(self, limit: float) -> list[str]:
        """Blocks until every requested snapshot has completed, for `limit` seconds at most; returns the
        unfinished ones.

        Requests again what Debezium aborts.
        """
        deadline = time.monotonic() + limit
        while True:
            left = self._tracker.wait(deadline - time.monotonic())
            if left or not self.retry_failed_snapshots():
                break
        self.refresh_state()
        return left

    def preflight(self, releasing: tuple[str, str] | None = None) -> None:
        """Raises MisconfiguredError with every fatal finding.

        Skips quarantined shards, except the one of `releasing`.
        """
        absent = {(item.server, item.database) for item in list_quarantined(self._control)} - {releasing}
        fatal = [
            finding
            for finding in inspect(self._endpoints.mysql, self._catalog, absent)
            if finding.severity == "fatal"
        ]
        if fatal:
            what = "; ".join(f"{finding.subject}: {finding.what}" for finding in fatal)
            raise MisconfiguredError(
                f"preflight: {what}", "; ".join(dict.fromkeys(finding.remedy for finding in fatal))
            )

    def _wait_running(self, server: MySqlServer, since: int, limit: float = 90) -> None:
        """Waits for a task that started after notification offset `since`: an older one ignores signals for
        tables new to it."""
        name, started = connector_name(server.name), time.monotonic()
        while time.monotonic() < started + limit:
            states = self._states(name)
            running = len(states) > 1 and all(state["state"] == "RUNNING" for state in states)
            if running and task_started_since(self._endpoints, server.name, since):
                return
            if (failures := _failures(states)) and time.monotonic() - started > RESTART_SECONDS:
                raise TransientError(
                    f"connector {name} failed: {failures[0]}", "fix the cause, then apply again"
                )
            time.sleep(0.2)
        raise TransientError(
            f"connector {name} does not run after {limit:.0f} s", "see `switchboard logs connect`"
        )

    def _states(self, name: str) -> list[dict[str, str]]:
        """The connector's own state, followed by its tasks' states."""
        status = self._connect.status(name)
        return [status["connector"], *status["tasks"]] if status else []


def _tables_on(server: MySqlServer) -> set[TableName]:
    rows = mysql.rows(
        server,
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'",
    )
    return {(str(schema), str(name)) for schema, name in rows}


def _drop_steps(server: str, found: CaptureChanges) -> Iterator[Step]:
    """A destructive step for each table that is no longer captured: its changes from then on are lost."""
    for table in sorted({table for _, table in found.stopped}):
        lines = tuple(f"- {database}.{name}" for database, name in found.stopped if name == table)
        summary = f"no longer captured in {len(lines)} databases: their changes from now on will be missing"
        yield Step(
            Phase.STOP_CAPTURE,
            ConnectPlanner.name,
            "drop",
            f"{server}/{table}",
            summary,
            lines,
            destructive=True,
        )


def _failures(states: list[dict[str, str]]) -> list[str]:
    return [root_cause(state.get("trace", "")) for state in states if state["state"] == "FAILED"]


def _reason(snapshot: LatestSnapshot | None, backfill: TableCondition | None) -> str | None:
    """The reason to snapshot a collection (again); None if there is none."""
    if snapshot is None:
        return ""
    if snapshot.status not in (REQUESTED, COMPLETED):
        return f" again; the last one ended as {snapshot.status}"
    return None if backfill is None else f" again; {backfill.reason}"


def _describes(table: Table, database: str, name: str) -> bool:
    return table.name == name and table.source.matches(database)


def _diff(live: dict[str, str], wanted: dict[str, str]) -> tuple[str, ...]:
    changed = [name for name in sorted({*live, *wanted}) if live.get(name) != wanted.get(name)]
    return tuple(
        f"~ {name}: {json.dumps(live.get(name))} -> {json.dumps(wanted.get(name))}" for name in changed
    )
