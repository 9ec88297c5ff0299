"""Planning's part for Kafka Connect: one connector a MySQL server, and the snapshots that fill its tables."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from connectors.backfills import Collection, due, settle
from connectors.binlog import end, has_read
from connectors.capture import Moves, Place, moves, remembered
from connectors.capture import remember as remember_capture
from connectors.ddl import remember
from connectors.loads import COMPLETED, FAILED, REQUESTED, Loads, Newest
from connectors.preflight import inspect
from connectors.rest import Config, KafkaConnect, root_cause
from connectors.snapshots import has_started, notified
from core import logging
from core.clients import mysql
from core.control import ControlDatabase
from core.control.aside import aside
from core.control.states import BACKFILL, FROZEN, Standing, mark, standing
from core.errors import MisconfiguredError, TransientError
from core.settings import Endpoints, MySqlServer
from schemas.catalog import Catalog
from schemas.names import topic_of
from schemas.render.connect import TABLES, connector_name, source_config
from schemas.steps import Step
from schemas.table import Table

SETTLE_SECONDS = 10.0
"""For so long Connect may still show the failure of the task before the change."""
AWAY = "it was not captured for a while: changes and deletes of that time are missing"

log = logging.get("connectors")


class ConnectTarget:
    name = "connect"

    def __init__(self, endpoints: Endpoints, catalog: Catalog, control: ControlDatabase) -> None:
        self._endpoints = endpoints
        self._catalog = catalog.captured
        self._control = control
        self._loads = Loads(endpoints, control)
        self._connect = KafkaConnect(endpoints.connect)

    def plan(self) -> list[Step]:
        self.look()
        states = standing(self._control)
        steps: list[Step] = []
        for server in self._endpoints.mysql:
            name, wanted = connector_name(server.name), self._config(server)
            live = self._connect.config(name)
            moved = self._moves(server, live, wanted)
            steps += _leaving(server.name, moved)
            again = tuple(f"> {'.'.join(place)} is read again; {AWAY}" for place in moved.back)
            if live is None:
                steps.append(Step(30, self.name, "create", name, f"Debezium on {server.host}:{server.port}", again))
            elif diff := _diff(live, {**wanted, "name": name}):
                steps.append(Step(30, self.name, "change", name, f"{len(diff)} settings", diff + again))
            elif failures := _failures(self._states(name)):
                steps.append(Step(30, self.name, "run", name, f"restart; it failed: {failures[0]}"))
            if found := self._snapshots(server, states):
                steps.append(
                    Step(31, self.name, "run", f"{server.name}/snapshots", f"{len(found)} incremental snapshots", tuple(found.values()))
                )
        return steps

    def look(self) -> None:
        """Remembers what DDL has put in doubt since the last look, and forgets what snapshots have made up for. Blocks."""
        collections: list[Collection] = []
        loads: dict[tuple[str, str], Newest] = {}
        for server in self._endpoints.mysql:
            if self._connect.config(connector_name(server.name)) is not None:
                remember(self._endpoints.kafka, self._control, self._catalog, server.name)
            collections += [(server.name, database, table) for database, table in self.collections(server)]
            loads |= {(server.name, name): load for name, load in self._loads.newest(server.name).items()}
        settle(self._control, standing(self._control), collections, loads)

    def _config(self, server: MySqlServer) -> dict[str, str]:
        places = self._endpoints
        return source_config(self._catalog, server, places.registry, places.kafka, places.connect.value_converter, self._aside(server))

    def _aside(self, server: MySqlServer) -> frozenset[str]:
        return frozenset(item.database for item in aside(self._control) if item.server == server.name)

    def _moves(self, server: MySqlServer, live: Config | None, wanted: Config) -> Moves:
        before = live if live is not None else remembered(self._control, server.name)
        if before is None or before.get(TABLES) == wanted[TABLES]:
            return Moves()
        return moves(before, wanted, _standing_on(server), self._loads.newest(server.name))

    def collections(self, server: MySqlServer) -> list[tuple[str, Table]]:
        """(database, contract) of what stands on the server now."""
        return sorted(
            ((schema, table) for schema, name in _standing_on(server) for table in self._catalog if _is(table, schema, name)),
            key=lambda pair: (pair[0], pair[1].name),
        )

    def doubt(self, server: MySqlServer, reason: str) -> list[str]:
        """Remembers that changes of each of the server's tables may be missing; returns the ``database.table`` of each."""
        found = self.collections(server)
        for database, table in found:
            self._put_in_doubt(database, table.name, reason)
        return [f"{database}.{table.name}" for database, table in found]

    def _put_in_doubt(self, database: str, table: str, reason: str) -> None:
        """Rows are to be read again, and what was deleted meanwhile is to be found by a comparison."""
        mark(self._control, table, database, BACKFILL, reason)
        mark(self._control, table, database, FROZEN, reason)

    def _snapshots(self, server: MySqlServer, states: list[Standing]) -> dict[str, str]:
        """Collection -> the line that tells why it is to be read."""
        loads, absent = self._loads.newest(server.name), self._aside(server)
        found = {}
        for database, table in self.collections(server):
            name = f"{database}.{table.name}"
            load = loads.get(name)
            why = _why(load, due(states, table, database, load) if load else None)
            if why is not None and database not in absent:
                found[name] = f"> {name} into {topic_of(table)}{why}"
        return found

    def apply(self, step: Step) -> None:
        name, _, rest = step.subject.partition("/")
        if step.action == "run" and rest:
            self.ask_for_due(self._endpoints.mysql_named(name))
            return
        self.preflight()
        if step.action == "drop":
            self.reconfigure(self._endpoints.mysql_named(name))
            return
        owner = next(server for server in self._endpoints.mysql if connector_name(server.name) == step.subject)
        if step.action != "run":
            self.reconfigure(owner)
            return
        since = notified(self._endpoints.kafka, owner.name)
        self._connect.change(step.subject, "restart")
        self._wait_running(owner, since)

    def reconfigure(self, server: MySqlServer) -> None:
        """Gives the server's connector its config and blocks until a task with it runs, 90 s at most."""
        name, wanted = connector_name(server.name), self._config(server)
        since = notified(self._endpoints.kafka, server.name)
        live = self._connect.config(name)
        if live != {**wanted, "name": name}:
            for database, table in self._moves(server, live, wanted).back:
                self._put_in_doubt(database, table, AWAY)
            self._connect.put(name, wanted)
            remember_capture(self._control, server.name, wanted)
        elif _failures(self._states(name)):
            self._connect.change(name, "restart")
        else:
            return
        self._wait_running(server, since)

    def catch_up(self, server: MySqlServer, limit: float = 60) -> None:
        """Blocks until the connector has read all that is committed now. Raises TransientError after `limit` seconds."""
        name, wanted, deadline = connector_name(server.name), end(server), time.monotonic() + limit
        while not has_read(server, self._connect.offsets(name), wanted):
            if time.monotonic() > deadline:
                raise TransientError(f"connector {name} has not caught up in {limit:.0f} s", f"`switchboard connectors status {name}`")
            time.sleep(0.5)

    def ask_for_due(self, server: MySqlServer) -> list[str]:
        """Asks for the snapshots that a plan would show for the server; returns their collections.

        By one signal for all of them: one that arrives while Debezium ends the snapshot before may be lost or fail.
        """
        found = list(self._snapshots(server, standing(self._control)))
        if found:
            self._loads.request(server.name, found)
        return found

    def ask_again(self) -> list[str]:
        """Asks for the snapshots that Debezium has given up or lost; returns ``server/database.table`` of each."""
        asked = []
        for server in self._endpoints.mysql:
            failed = [name for name, load in self._loads.newest(server.name).items() if load.status == FAILED]
            if failed:
                self._loads.request(server.name, failed)
                log.warning("snapshots asked for again", server=server.name, collections=failed)
            asked += [f"{server.name}/{name}" for name in failed]
        return asked

    def wait_snapshots(self, limit: float) -> list[str]:
        """Blocks until every snapshot asked for has been read, `limit` seconds at most; returns those that are not yet.

        Asks again for what Debezium gives up.
        """
        deadline = time.monotonic() + limit
        while True:
            left = self._loads.wait(deadline - time.monotonic())
            if left or not self.ask_again():
                break
        self.look()
        return left

    def preflight(self, taking_back: tuple[str, str] | None = None) -> None:
        """Raises MisconfiguredError with every finding that keeps a connector from being made, or a shard aside."""
        absent = {(item.server, item.database) for item in aside(self._control)} - {taking_back}
        fatal = [finding for finding in inspect(self._endpoints.mysql, self._catalog, absent) if finding.severity == "fatal"]
        if fatal:
            what = "; ".join(f"{finding.subject}: {finding.what}" for finding in fatal)
            raise MisconfiguredError(f"preflight: {what}", "; ".join(dict.fromkeys(finding.remedy for finding in fatal)))

    def _wait_running(self, server: MySqlServer, since: int, limit: float = 90) -> None:
        """Until a task begun after the notification at `since` runs: an older one would lose signals for tables it does not know."""
        name, started = connector_name(server.name), time.monotonic()
        while time.monotonic() < started + limit:
            states = self._states(name)
            running = len(states) > 1 and all(state["state"] == "RUNNING" for state in states)
            if running and has_started(self._endpoints, server.name, since):
                return
            if (failures := _failures(states)) and time.monotonic() - started > SETTLE_SECONDS:
                raise TransientError(f"connector {name} failed: {failures[0]}", "mend the cause, then apply again")
            time.sleep(0.2)
        raise TransientError(f"connector {name} does not run after {limit:.0f} s", "`switchboard logs connect` may tell why")

    def _states(self, name: str) -> list[dict[str, str]]:
        """The connector's own state, then its tasks'."""
        status = self._connect.status(name)
        return [status["connector"], *status["tasks"]] if status else []


def _standing_on(server: MySqlServer) -> set[Place]:
    rows = mysql.rows(server, "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'")
    return {(str(schema), str(name)) for schema, name in rows}


def _leaving(server: str, found: Moves) -> Iterator[Step]:
    """A step for each table that is not to be read on: it has to be named, as what it changes from then on is lost here."""
    for table in sorted({table for _, table in found.left}):
        lines = tuple(f"- {database}.{name}" for database, name in found.left if name == table)
        summary = f"read no more in {len(lines)} databases: what they change from now on will be missing here"
        yield Step(29, ConnectTarget.name, "drop", f"{server}/{table}", summary, lines, destroys=True)


def _failures(states: list[dict[str, str]]) -> list[str]:
    return [root_cause(state.get("trace", "")) for state in states if state["state"] == "FAILED"]


def _why(load: Newest | None, backfill: Standing | None) -> str | None:
    """Why a collection is to be read (again); None if it is not."""
    if load is None:
        return ""
    if load.status not in (REQUESTED, COMPLETED):
        return f" again; the last one ended as {load.status}"
    return None if backfill is None else f" again; {backfill.reason}"


def _is(table: Table, database: str, name: str) -> bool:
    return table.name == name and table.source.holds(database)


def _diff(live: dict[str, str], wanted: dict[str, str]) -> tuple[str, ...]:
    changed = [name for name in sorted({*live, *wanted}) if live.get(name) != wanted.get(name)]
    return tuple(f"~ {name}: {json.dumps(live.get(name))} -> {json.dumps(wanted.get(name))}" for name in changed)
