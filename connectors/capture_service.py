"""Changes what is captured: the connectors' configs, their snapshots, and the conditions of tables."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from connectors.binlog import end, has_read
from connectors.capture import save_capture
from connectors.capture_state import CaptureReader, CaptureState
from connectors.notifications import notification_end_offset, task_started_since
from connectors.preflight import inspect
from connectors.rest import KafkaConnect, failures
from connectors.schema_changes import record_schema_changes
from connectors.skipped_changes import record_skipped_changes
from connectors.snapshot_tracker import FAILED, SnapshotTracker
from core import logging, metrics
from core.control import ControlDatabase
from core.control.quarantine_store import list_quarantined
from core.control.table_health import NEEDS_SNAPSHOT, NEEDS_VERIFICATION, clear_condition, set_condition
from core.errors import MisconfiguredError, TransientError
from core.settings import Endpoints, MySqlServer
from core.waiting import wait_until
from schemas.catalog import Catalog
from schemas.render.connect import connector_name

RESTART_SECONDS = 10.0
"""For this long after a change, Connect may still report the previous task's failure."""
MISSED_CHANGES = "it was not captured for a while: changes and deletes of that time are missing"

log = logging.get("connectors")


class CaptureService:
    """Its methods block for Connect, Kafka, MySQL and the control database."""

    def __init__(self, endpoints: Endpoints, catalog: Catalog, control: ControlDatabase) -> None:
        self._endpoints = endpoints
        self._catalog = catalog.captured
        self._control = control
        self._reader = CaptureReader(endpoints, catalog, control)
        self._tracker = SnapshotTracker(endpoints, control)
        self._connect = KafkaConnect(endpoints.connect)

    def record(self) -> CaptureState:
        """Records how far the snapshots are and what DDL invalidated, and clears the conditions whose
        snapshots have completed. Returns the state that it recorded. Idempotent."""
        for server in self._endpoints.mysql:
            self._tracker.record(server.name)
        state = self._reader.state()
        for new in state.schema_changes:
            record_schema_changes(self._control, new)
        for skipped in state.skipped_changes:
            record_skipped_changes(self._control, skipped)
        for condition in state.cleared:
            clear_condition(self._control, condition)
        return state

    def reconfigure(self, server: MySqlServer) -> None:
        """Updates the server's connector to its config and blocks until a task with it runs, for 90 s at
        most."""
        name, wanted = connector_name(server.name), self._reader.config(server)
        since = notification_end_offset(self._endpoints.kafka, server.name)
        live = self._connect.config(name)
        if live != {**wanted, "name": name}:
            for database, table in self._reader.capture_changes(server, live, wanted).resumed:
                self._invalidate(database, table, MISSED_CHANGES)
            self._connect.put(name, wanted)
            save_capture(self._control, server.name, wanted)
        elif failures(self._connect.states(name)):
            self._connect.change(name, "restart")
        else:
            return
        self._wait_running(server, since)

    def restart(self, server: MySqlServer) -> None:
        """Restarts the server's connector and blocks until a new task runs, for 90 s at most."""
        since = notification_end_offset(self._endpoints.kafka, server.name)
        self._connect.change(connector_name(server.name), "restart")
        self._wait_running(server, since)

    def invalidate(self, server: MySqlServer, reason: str) -> None:
        """Marks every table of the server, as changes of it may be missing."""
        for database, table in self._reader.collections(server):
            self._invalidate(database, table.name, reason)

    def _invalidate(self, database: str, table: str, reason: str) -> None:
        """The rows have to be read again, and a verification has to find what was deleted meanwhile."""
        set_condition(self._control, table, database, NEEDS_SNAPSHOT, reason)
        set_condition(self._control, table, database, NEEDS_VERIFICATION, reason)

    def measure_proofs(self) -> None:
        """Sets the metric of shards that are not yet proven equal. Blocks for Kafka and the control
        database."""
        unproven = Counter(
            collection.partition(".")[2]
            for server in self._endpoints.mysql
            for collection in self._tracker.unproven(server.name)
        )
        for table in self._catalog:
            metrics.UNPROVEN_SHARDS.labels(table.name).set(unproven[table.name])

    def request_missing_snapshots(self, server: MySqlServer) -> list[str]:
        """Requests the snapshots that a plan shows for the server; returns their collections.

        One signal requests all of them: a signal that arrives while Debezium ends the previous snapshot may
        be lost.
        """
        missing = self._reader.missing_snapshots(server, self.record())
        collections = [snapshot.collection for snapshot in missing]
        if collections:
            self._tracker.request(server.name, collections)
        return collections

    def read_skipped_tables(self, state: CaptureState, is_due: Callable[[str], bool]) -> list[str]:
        """Requests snapshots of the tables of which changes were skipped; returns ``server/database.table``
        of each."""
        requested = []
        for server in self._endpoints.mysql:
            collections = [name for name in self._reader.skipped_tables(server, state) if is_due(name)]
            if collections:
                self._tracker.request(server.name, collections)
                log.warning("tables are read again", server=server.name, collections=collections)
            requested += [f"{server.name}/{name}" for name in collections]
        return requested

    def retry_failed_snapshots(self, is_due: Callable[[str], bool] = lambda _: True) -> list[str]:
        """Requests the snapshots again that Debezium aborted or lost; returns ``server/database.table`` of
        each.

        Those of tables that are no longer captured are left alone: they can only fail again.
        """
        requested = []
        for server in self._endpoints.mysql:
            self._tracker.record(server.name)
            latest = self._tracker.latest(server.name)
            captured = self._reader.captured(server)
            failed = [
                name
                for name, snapshot in latest.items()
                if snapshot.status == FAILED and name in captured and is_due(name)
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
            left = self._tracker.wait(deadline - time.monotonic()) or self.retry_failed_snapshots()
            if not left or time.monotonic() > deadline:
                break
        self.record()
        return left

    def wait_until_caught_up(self, server: MySqlServer, limit: float = 60) -> None:
        """Blocks until the connector has read everything committed at the call.

        Raises TransientError after `limit` seconds.
        """
        name, wanted = connector_name(server.name), end(server)
        if not wait_until(lambda: has_read(server, self._connect.offsets(name), wanted), limit, interval=0.5):
            raise TransientError(
                f"connector {name} has not caught up in {limit:.0f} s",
                f"`switchboard connectors status {name}`",
            )

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
            states = self._connect.states(name)
            running = len(states) > 1 and all(state["state"] == "RUNNING" for state in states)
            if running and task_started_since(self._endpoints, server.name, since):
                return
            causes = failures(states)
            if causes and time.monotonic() - started > RESTART_SECONDS:
                raise TransientError(
                    f"connector {name} failed: {causes[0]}", "fix the cause, then apply again"
                )
            time.sleep(0.2)
        raise TransientError(
            f"connector {name} does not run after {limit:.0f} s", "see `switchboard logs connect`"
        )
