"""Quarantines a failing shard so that the server's other shards continue, and releases it once it is
repaired."""

from __future__ import annotations

from connectors.capture_service import CaptureService
from connectors.capture_state import CaptureReader
from core.control import ControlDatabase
from core.control.quarantine_store import add, list_quarantined, remove
from core.control.table_health import NEEDS_SNAPSHOT, NEEDS_VERIFICATION, set_condition
from core.errors import MisconfiguredError, SwitchboardError
from core.settings import Endpoints, MySqlServer
from schemas.catalog import Catalog
from schemas.table import Table

REASON = "quarantined; its changes from now on are missing"


class Quarantine:
    """Both methods change the connector's config and block until its new task runs, for 90 s at most."""

    def __init__(self, endpoints: Endpoints, catalog: Catalog, control: ControlDatabase) -> None:
        self._endpoints = endpoints
        self._catalog = catalog
        self._control = control
        self._reader = CaptureReader(endpoints, catalog, control)
        self._service = CaptureService(endpoints, catalog, control)

    def quarantine(self, server: str, database: str, reason: str, *, automatic: bool = False) -> list[str]:
        """Stops capturing the shard and returns the names of its tables. `automatic`: no operator asked for
        it.

        Raises MisconfiguredError for an unknown server or database, TransientError if the connector does not
        run in time.
        """
        owner, tables = self._owner(server), self._tables(server, database)
        add(self._control, server, database, reason, automatic=automatic)
        for table in tables:
            set_condition(self._control, table.name, database, NEEDS_VERIFICATION, f"{REASON}: {reason}")
        self._service.reconfigure(owner)
        return [table.name for table in tables]

    def release(self, server: str, database: str) -> list[str]:
        """Captures the shard again and returns the collections (``database.table``) whose snapshots it
        requests.

        A shard that still fails its connector is quarantined again, and the error is raised.
        """
        owner, tables = self._owner(server), self._tables(server, database)
        held = next(
            (
                item
                for item in list_quarantined(self._control)
                if (item.server, item.database) == (server, database)
            ),
            None,
        )
        if held is None:
            raise MisconfiguredError(
                f"{server}/{database} is not quarantined",
                "`switchboard connectors quarantine` lists the quarantined shards",
            )
        self._service.preflight(releasing=(server, database))
        # else it would read the shard's tables as they were before the repair
        self._service.wait_until_caught_up(owner)
        for table in tables:
            set_condition(
                self._control,
                table.name,
                database,
                NEEDS_SNAPSHOT,
                "it was quarantined: changes of that time are missing",
            )
            set_condition(
                self._control,
                table.name,
                database,
                NEEDS_VERIFICATION,
                "it was quarantined: deletes of that time are missing",
            )
        remove(self._control, server, database)
        try:
            self._service.reconfigure(owner)
        except SwitchboardError as error:
            self.quarantine(
                server, database, f"{held.reason}; released too early: {error.what}", automatic=held.automatic
            )
            raise
        return self._service.request_missing_snapshots(owner)

    def _owner(self, server: str) -> MySqlServer:
        if server not in [known.name for known in self._endpoints.mysql]:
            known = ", ".join(known.name for known in self._endpoints.mysql)
            raise MisconfiguredError(f"there is no MySQL server {server!r}", f"the servers are {known}")
        return self._endpoints.mysql_named(server)

    def _tables(self, server: str, database: str) -> list[Table]:
        if not any(table.source.matches(database) for table in self._catalog):
            raise MisconfiguredError(
                f"no contract reads database {database!r}", "name a shard as `SHOW DATABASES` prints it"
            )
        return [
            table
            for name, table in self._reader.collections(self._endpoints.mysql_named(server))
            if name == database
        ]
