"""What is captured, what should be, and which snapshots are missing: read from Connect, Kafka, MySQL and the
control database, none of which it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.capture import CaptureChanges, TableName, capture_changes, saved_capture
from connectors.resnapshots import completed, pending_resnapshot
from connectors.rest import Config, KafkaConnect
from connectors.schema_changes import NewSchemaChanges, SchemaHistory
from connectors.skipped_changes import SKIPPED, NewSkippedChanges, new_skipped_changes
from connectors.snapshot_tracker import COMPLETED, REQUESTED, LatestSnapshot, SnapshotTracker
from core.clients import mysql
from core.clock import utc_now
from core.control import ControlDatabase
from core.control.quarantine_store import list_quarantined
from core.control.table_health import NEEDS_SNAPSHOT, NEEDS_VERIFICATION, TableCondition, conditions
from core.settings import Endpoints, MySqlServer
from schemas.catalog import Catalog
from schemas.render.connect import TABLES, connector_name, source_config
from schemas.table import Table


@dataclass(frozen=True)
class CaptureState:
    """The snapshots and conditions as the topics say now, whether or not that is recorded yet.

    `schema_changes` and `skipped_changes` are not recorded; `snapshots` maps a server's name and
    ``database.table`` to the latest one; `conditions` include those that these changes cause, and leave out
    those of `cleared`, whose snapshots have completed.
    """

    schema_changes: tuple[NewSchemaChanges, ...]
    skipped_changes: tuple[NewSkippedChanges, ...]
    snapshots: Mapping[str, Mapping[str, LatestSnapshot]]
    conditions: tuple[TableCondition, ...]
    cleared: tuple[TableCondition, ...]


@dataclass(frozen=True)
class MissingSnapshot:
    """`reason` says why the collection (``database.table``) is snapshotted again; empty if it never was."""

    collection: str
    table: Table
    reason: str


class CaptureReader:
    """Its methods block for Connect, Kafka, MySQL and the control database, and change none of them."""

    def __init__(self, endpoints: Endpoints, catalog: Catalog, control: ControlDatabase) -> None:
        self._endpoints = endpoints
        self._catalog = catalog.captured
        self._control = control
        self._tracker = SnapshotTracker(endpoints, control)
        self._connect = KafkaConnect(endpoints.connect)
        self._histories = {
            server.name: SchemaHistory(endpoints.kafka, server.name) for server in endpoints.mysql
        }

    def state(self) -> CaptureState:
        servers = self._endpoints.mysql
        collections = [
            (server.name, database, table)
            for server in servers
            for database, table in self.collections(server)
        ]
        snapshots = {server.name: self._tracker.latest(server.name) for server in servers}
        live = [server for server in servers if self._connect.config(connector_name(server.name)) is not None]
        altered = tuple(
            self._histories[server.name].new_changes(self._control, self._catalog) for server in live
        )
        skipped = tuple(new_skipped_changes(self._endpoints, self._control, server.name) for server in live)
        current = _with_changes(conditions(self._control), altered, skipped)
        cleared = completed(current, collections, snapshots)
        left = tuple(condition for condition in current if condition not in cleared)
        return CaptureState(altered, skipped, snapshots, left, tuple(cleared))

    def config(self, server: MySqlServer) -> Config:
        """Returns the config that the server's connector should have."""
        endpoints = self._endpoints
        return source_config(
            self._catalog,
            server,
            endpoints.registry,
            endpoints.kafka,
            endpoints.connect.value_converter,
            self.quarantined(server),
        )

    def quarantined(self, server: MySqlServer) -> frozenset[str]:
        return frozenset(
            item.database for item in list_quarantined(self._control) if item.server == server.name
        )

    def collections(self, server: MySqlServer) -> list[tuple[str, Table]]:
        """(database, contract) of each captured table that exists on the server now."""
        found = [
            (schema, table)
            for schema, name in _tables_on(server)
            for table in self._catalog
            if table.name == name and table.source.matches(schema)
        ]
        return sorted(found, key=lambda pair: (pair[0], pair[1].name))

    def captured(self, server: MySqlServer) -> dict[str, tuple[str, Table]]:
        """``database.table`` -> (database, contract) of `collections`, without quarantined shards."""
        quarantined = self.quarantined(server)
        return {
            f"{database}.{table.name}": (database, table)
            for database, table in self.collections(server)
            if database not in quarantined
        }

    def capture_changes(self, server: MySqlServer, live: Config | None, wanted: Config) -> CaptureChanges:
        """Which tables the change from config `live`, None if there is no connector, stops or resumes."""
        before = live if live is not None else saved_capture(self._control, server.name)
        if before is None or before.get(TABLES) == wanted[TABLES]:
            return CaptureChanges()
        return capture_changes(before, wanted, _tables_on(server), self._tracker.latest(server.name))

    def missing_snapshots(self, server: MySqlServer, state: CaptureState) -> list[MissingSnapshot]:
        """Of every shard that is not quarantined."""
        snapshots = state.snapshots[server.name]
        missing = []
        for collection, (database, table) in self.captured(server).items():
            reason = _reason(state, table, database, snapshots.get(collection))
            if reason is not None:
                missing.append(MissingSnapshot(collection, table, reason))
        return missing

    def skipped_tables(self, server: MySqlServer, state: CaptureState) -> list[str]:
        """The collections of which changes were skipped since their last snapshot was requested."""
        snapshots = state.snapshots[server.name]
        return [
            collection
            for collection, (database, table) in self.captured(server).items()
            if (condition := pending_resnapshot(state.conditions, table, database, snapshots.get(collection)))
            is not None
            and condition.reason.startswith(SKIPPED)
        ]


def _with_changes(
    known: list[TableCondition],
    altered: tuple[NewSchemaChanges, ...],
    skipped: tuple[NewSkippedChanges, ...],
) -> list[TableCondition]:
    """The conditions after the changes are recorded, which would be now."""
    by_key = {(item.table, item.shard, item.state): item for item in known}
    causes = [
        (change.table, change.database, str(change.state), change.reason)
        for altered_here in altered
        for change in altered_here.changes
    ] + [
        (change.table, change.database, state, change.reason)
        for skipped_here in skipped
        for change in skipped_here.changes
        for state in (NEEDS_SNAPSHOT, NEEDS_VERIFICATION)
    ]
    for table, shard, state, reason in causes:
        by_key[(table, shard, state)] = TableCondition(table, shard, state, reason, utc_now())
    return list(by_key.values())


def _reason(state: CaptureState, table: Table, database: str, snapshot: LatestSnapshot | None) -> str | None:
    """The reason to snapshot a collection (again); None if there is none."""
    if snapshot is None:
        return ""
    if snapshot.status not in (REQUESTED, COMPLETED):
        return f"the last one ended as {snapshot.status}"
    condition = pending_resnapshot(state.conditions, table, database, snapshot)
    return None if condition is None else condition.reason


def _tables_on(server: MySqlServer) -> set[TableName]:
    rows = mysql.rows(
        server,
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'",
    )
    return {(str(schema), str(name)) for schema, name in rows}
