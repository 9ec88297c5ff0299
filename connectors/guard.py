"""What the watch does beside restarting: it puts a shard aside that fails its connector again and again, and minds the binlog."""

from __future__ import annotations

import time

from connectors.binlog import hours_left, is_lost, stored
from connectors.blame import blamed
from connectors.quarantine import Quarantine
from connectors.rest import KafkaConnect, root_cause
from connectors.target import ConnectTarget
from connectors.watch import Failure
from core import logging, metrics
from core.control import ControlDatabase
from core.control.aside import aside
from core.control.states import standing
from core.errors import SwitchboardError
from core.settings import Endpoints, MySqlServer
from schemas.catalog import Catalog
from schemas.render.connect import connector_name

LOOK_SECONDS = 30.0
REPEAT_SECONDS = 600.0

log = logging.get("connectors")


class Mender:
    """Puts one shard of a server aside, at most: where a second one fails, the fault is rather the server's or ours."""

    def __init__(self, endpoints: Endpoints, catalog: Catalog, control: ControlDatabase, after: int) -> None:
        self._endpoints = endpoints
        self._control = control
        self._target = ConnectTarget(endpoints, catalog, control)
        self._quarantine = Quarantine(endpoints, catalog, control)
        self._after = after
        self._blamed: dict[str, tuple[str | None, int]] = {}

    def __call__(self, failure: Failure) -> bool:
        """Whether a shard was put aside, which restarts the connector. Blocks on MySQL, and on Connect when it is."""
        server = next((known for known in self._endpoints.mysql if connector_name(known.name) == failure.connector), None)
        if server is None:
            return False
        database = blamed(failure.trace, [f"{shard}.{table.name}" for shard, table in self._target.collections(server)])
        before, count = self._blamed.get(failure.connector, (None, 0))
        count = count + 1 if before == database and failure.times > 1 else 1
        self._blamed[failure.connector] = (database, count)
        return bool(self._after) and count >= self._after and self._put_aside(server, database, failure)

    def _put_aside(self, server: MySqlServer, database: str | None, failure: Failure) -> bool:
        by_hand = f"switchboard connectors quarantine {server.name} DATABASE"
        if database is None:
            log.error("the cause names no shard; if one is at fault, put it aside by hand", connector=failure.connector, command=by_hand)
            return False
        if any(item.server == server.name for item in aside(self._control)):
            log.error("one more shard fails; none but the first is put aside unasked", shard=database, command=by_hand)
            return False
        log.error("shard put aside", server=server.name, shard=database, cause=root_cause(failure.trace))
        self._quarantine.put_aside(server.name, database, root_cause(failure.trace), alone=True)
        return True


class Loader:
    """Asks again for the snapshots that Debezium has given up or lost."""

    def __init__(self, target: ConnectTarget) -> None:
        self._target = target
        self._looked = time.monotonic()

    def look(self) -> list[str]:
        """``server/database.table`` of what is asked for; empty when it is not time yet. Blocks on Kafka and Connect."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return []
        self._looked = time.monotonic()
        try:
            return self._target.ask_again()
        except SwitchboardError as error:
            log.warning("the snapshots under way are not known", error=error.what)
            return []


class BinlogAlarm:
    """Measures for each server how long the binlog still holds what its connector has to read; `least` is in hours.

    What was purged before it was read puts every table of the server in doubt.
    """

    def __init__(self, endpoints: Endpoints, catalog: Catalog, control: ControlDatabase, connect: KafkaConnect, least: float) -> None:
        self._endpoints = endpoints
        self._control = control
        self._target = ConnectTarget(endpoints, catalog, control)
        self._connect = connect
        self._least = least
        self._looked = -LOOK_SECONDS
        self._told: dict[str, float] = {}

    def look(self) -> dict[str, float]:
        """Server -> hours left; empty when it is not time yet. Blocks on Connect and MySQL."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return {}
        self._looked = time.monotonic()
        found = {}
        for server in self._endpoints.mysql:
            try:
                hours = self._look_at(server)
            except SwitchboardError as error:
                log.warning("the binlog's reach is not known", server=server.name, error=error.what)
                continue
            if hours is not None:
                found[server.name] = hours
        return found

    def _look_at(self, server: MySqlServer) -> float | None:
        name = connector_name(server.name)
        offsets = self._connect.offsets(name) if name in self._connect.names() else []
        position = stored(offsets)
        if position is None:
            return None
        hours = hours_left(server, position)
        metrics.BINLOG_HOURS_LEFT.labels(server.name).set(hours)
        lost = is_lost(server, offsets)
        if lost:
            self._doubt(server, f"the binlog was purged beyond {position.file}, where {name} stood: changes are lost")
        self._tell(server.name, hours, lost=lost)
        return hours

    def _doubt(self, server: MySqlServer, reason: str) -> None:
        """Once for a place in the binlog: marked anew at each look, no table would ever be out of doubt."""
        if not any(state.reason == reason for state in standing(self._control)):
            self._target.doubt(server, reason)

    def _tell(self, server: str, hours: float, *, lost: bool) -> None:
        now = time.monotonic()
        if hours >= self._least or now - self._told.get(server, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return
        self._told[server] = now
        if not lost:
            remedy = "let the connector catch up, or SET PERSIST binlog_expire_logs_seconds higher"
            log.error("the binlog is purged soon up to where the connector stands", server=server, hours=round(hours, 1), remedy=remedy)
        else:
            remedy = f"switchboard connectors stop, offsets reset, resume {connector_name(server)}; apply; verify --repair"
            log.error("the binlog is purged beyond the connector's position: changes are lost", server=server, remedy=remedy)
