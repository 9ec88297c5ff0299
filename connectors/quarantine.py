"""A shard is put aside, so that its server's other shards flow on, and taken back once it is mended."""

from __future__ import annotations

from connectors.target import ConnectTarget
from core.control import ControlDatabase
from core.control.aside import aside, put, take_back
from core.control.states import BACKFILL, FROZEN, mark
from core.errors import MisconfiguredError, SwitchboardError
from core.settings import Endpoints, MySqlServer
from schemas.catalog import Catalog
from schemas.table import Table

REASON = "put aside; what it changes meanwhile is missing here"


class Quarantine:
    """Both calls change the connector's config and block until its new task runs, 90 s at most."""

    def __init__(self, endpoints: Endpoints, catalog: Catalog, control: ControlDatabase) -> None:
        self._endpoints = endpoints
        self._catalog = catalog
        self._control = control
        self._target = ConnectTarget(endpoints, catalog, control)

    def put_aside(self, server: str, database: str, reason: str, *, alone: bool = False) -> list[str]:
        """Returns the tables that stand still from now on. `alone` tells that no person has asked for it."""
        owner, tables = self._owner(server), self._tables(server, database)
        put(self._control, server, database, reason, alone=alone)
        for table in tables:
            mark(self._control, table.name, database, FROZEN, f"{REASON}: {reason}")
        self._target.reconfigure(owner)
        return [table.name for table in tables]

    def release(self, server: str, database: str) -> list[str]:
        """Returns the collections whose snapshots are asked for. A shard that still fails its connector is put aside again."""
        owner, tables = self._owner(server), self._tables(server, database)
        held = next((item for item in aside(self._control) if (item.server, item.database) == (server, database)), None)
        if held is None:
            raise MisconfiguredError(f"{server}/{database} is not put aside", "`switchboard connectors quarantine` shows what is")
        self._target.preflight(taking_back=(server, database))
        self._target.catch_up(owner)  # else it would meet the shard's tables as they were before they were mended
        for table in tables:
            mark(self._control, table.name, database, BACKFILL, "it was put aside: changes of that time are missing")
            mark(self._control, table.name, database, FROZEN, "it was put aside: deletes of that time are missing")
        take_back(self._control, server, database)
        try:
            self._target.reconfigure(owner)
        except SwitchboardError as error:
            self.put_aside(server, database, f"{held.reason}; taken back too early: {error.what}", alone=held.alone)
            raise
        return self._target.ask_for_due(owner)

    def _owner(self, server: str) -> MySqlServer:
        if server not in [known.name for known in self._endpoints.mysql]:
            known = ", ".join(known.name for known in self._endpoints.mysql)
            raise MisconfiguredError(f"there is no MySQL server {server!r}", f"the servers are {known}")
        return self._endpoints.mysql_named(server)

    def _tables(self, server: str, database: str) -> list[Table]:
        if not any(table.source.holds(database) for table in self._catalog):
            raise MisconfiguredError(f"no contract reads database {database!r}", "name a shard, as `SHOW DATABASES` spells it")
        return [table for name, table in self._target.collections(self._endpoints.mysql_named(server)) if name == database]
