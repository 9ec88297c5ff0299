"""What the supervisor does besides restarts: quarantines a shard that fails its connector repeatedly, records
what DDL invalidated, requests lost snapshots again, and monitors binlog retention."""

from __future__ import annotations

from connectors.backoff import Backoff
from connectors.binlog import hours_left, loss, stored
from connectors.capture_service import CaptureService
from connectors.capture_state import CaptureReader
from connectors.failure_attribution import attribute_failure
from connectors.quarantine import Quarantine
from connectors.rest import KafkaConnect
from connectors.supervisor import Failure
from core import logging, metrics
from core.clock import Clock, monotonic
from core.control import ControlDatabase
from core.control.quarantine_store import list_quarantined
from core.control.table_health import conditions
from core.errors import SwitchboardError
from core.java_trace import root_cause
from core.settings import Endpoints, MySqlServer
from schemas.catalog import Catalog
from schemas.render.connect import connector_name

POLL_SECONDS = 30.0
MAX_PAUSE_SECONDS = 3600.0
REPEAT_SECONDS = 600.0

log = logging.get("connectors")


class QuarantinePolicy:
    """Quarantines at most one shard of a server: if a second one fails, the cause is more likely the server
    or this platform."""

    def __init__(self, endpoints: Endpoints, catalog: Catalog, control: ControlDatabase, after: int) -> None:
        self._endpoints = endpoints
        self._control = control
        self._reader = CaptureReader(endpoints, catalog, control)
        self._quarantine = Quarantine(endpoints, catalog, control)
        self._after = after
        self._attributed: dict[str, tuple[str | None, int]] = {}

    def __call__(self, failure: Failure) -> bool:
        """Returns whether it quarantined a shard, which restarts the connector.

        Blocks for MySQL and, then, for Connect.
        """
        server = next(
            (known for known in self._endpoints.mysql if connector_name(known.name) == failure.connector),
            None,
        )
        if server is None:
            return False
        database = attribute_failure(
            failure.trace, [f"{shard}.{table.name}" for shard, table in self._reader.collections(server)]
        )
        before, count = self._attributed.get(failure.connector, (None, 0))
        count = count + 1 if before == database and failure.times > 1 else 1
        self._attributed[failure.connector] = (database, count)
        return (
            bool(self._after) and count >= self._after and self._quarantine_shard(server, database, failure)
        )

    def _quarantine_shard(self, server: MySqlServer, database: str | None, failure: Failure) -> bool:
        command = f"switchboard connectors quarantine {server.name} DATABASE"
        if database is None:
            log.error(
                "the cause names no shard; if one is at fault, quarantine it",
                connector=failure.connector,
                command=command,
            )
            return False
        if any(item.server == server.name for item in list_quarantined(self._control)):
            log.error(
                "another shard fails; only the first is quarantined automatically",
                shard=database,
                command=command,
            )
            return False
        log.error("shard quarantined", server=server.name, shard=database, cause=root_cause(failure.trace))
        self._quarantine.quarantine(server.name, database, root_cause(failure.trace), automatic=True)
        return True


class CaptureMonitor:
    """Records what DDL invalidated, what was skipped, and how far the snapshots are. Requests snapshots of
    tables of which changes were skipped, and those again that Debezium aborted or lost; of one table after
    pauses that grow up to an hour."""

    def __init__(self, service: CaptureService, clock: Clock = monotonic) -> None:
        self._service = service
        self._backoff = Backoff(POLL_SECONDS, MAX_PAUSE_SECONDS, 2 * MAX_PAUSE_SECONDS, clock)
        self._clock = clock
        self._polled_at = clock()

    def poll(self) -> list[str]:
        """``server/database.table`` of each requested snapshot; empty between intervals.

        Blocks for Kafka and Connect.
        """
        if self._clock() - self._polled_at < POLL_SECONDS:
            return []
        self._polled_at = self._clock()
        try:
            state = self._service.record()
            self._service.measure_proofs()
            failed = self._service.retry_failed_snapshots(self._is_due)
            return failed + self._service.read_skipped_tables(state, self._is_due)
        except SwitchboardError as error:
            log.warning("what is captured is unknown", error=error.what)
            return []

    def _is_due(self, collection: str) -> bool:
        return self._backoff.attempt(collection) is not None


class BinlogRetentionMonitor:
    """Measures for each server how many hours the binlog still retains what its connector has yet to read.

    Logs an error below `min_hours`. If unread events were purged, every table of the server needs a snapshot
    and a verification.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        catalog: Catalog,
        control: ControlDatabase,
        connect: KafkaConnect,
        min_hours: float,
        clock: Clock = monotonic,
    ) -> None:
        self._endpoints = endpoints
        self._control = control
        self._service = CaptureService(endpoints, catalog, control)
        self._connect = connect
        self._min_hours = min_hours
        self._clock = clock
        self._polled_at = -POLL_SECONDS
        self._reported: dict[str, float] = {}

    def poll(self) -> dict[str, float]:
        """Server -> hours left; empty between intervals. Blocks for Connect and MySQL."""
        if self._clock() - self._polled_at < POLL_SECONDS:
            return {}
        self._polled_at = self._clock()
        found = {}
        for server in self._endpoints.mysql:
            try:
                hours = self._measure(server)
            except SwitchboardError as error:
                log.warning("binlog retention is unknown", server=server.name, error=error.what)
                continue
            if hours is not None:
                found[server.name] = hours
        return found

    def _measure(self, server: MySqlServer) -> float | None:
        name = connector_name(server.name)
        offsets = self._connect.offsets(name) if name in self._connect.names() else []
        position = stored(offsets)
        if position is None:
            return None
        lost = loss(server, offsets)
        hours = hours_left(server, position) if lost is None else 0.0
        metrics.BINLOG_HOURS_LEFT.labels(server.name).set(hours)
        if lost is not None:
            self._invalidate_once(server, lost)
        self._report(server.name, hours, lost)
        return hours

    def _invalidate_once(self, server: MySqlServer, reason: str) -> None:
        """Once per binlog position: marked in every interval, a table could never be verified."""
        if not any(state.reason == reason for state in conditions(self._control)):
            self._service.invalidate(server, reason)

    def _report(self, server: str, hours: float, lost: str | None) -> None:
        now = self._clock()
        if hours >= self._min_hours or now - self._reported.get(server, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return
        self._reported[server] = now
        if lost is None:
            remedy = "let the connector catch up, or SET PERSIST binlog_expire_logs_seconds higher"
            log.error(
                "the binlog will soon be purged up to the connector's position",
                server=server,
                hours=round(hours, 1),
                remedy=remedy,
            )
        else:
            remedy = (
                f"switchboard connectors stop, offsets reset, resume {connector_name(server)}; apply; verify "
                "--repair"
            )
            log.error(lost, server=server, remedy=remedy)
