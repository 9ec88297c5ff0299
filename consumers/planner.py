"""Planning of ClickHouse: the live tables, those of the contracts, and the steps from one to the other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from consumers.applied_contracts import UNAPPLIED, Applied, applied, fingerprint, save, view_lock
from consumers.live_tables import Live, live_tables, unquoted, view_queries
from consumers.table_difference import Difference, difference, identity_changes, keys_change, renamed
from consumers.table_rebuild import copy_and_swap, scratch_name
from core.clients import clickhouse
from core.control import ControlDatabase
from core.settings import Endpoints
from schemas.catalog import Catalog
from schemas.names import physical_name
from schemas.plan_step import Phase, Step
from schemas.render import clickhouse as render
from schemas.table import Computed, Table

KEYS_CHANGE = (
    "; the keys of its records change too, and with them their partitions, which loses the order of older "
    "changes: delete its topic first, so that `apply` recreates it and snapshots the table"
)


class ClickHousePlanner:
    """Databases, physical tables and reading views."""

    name = "clickhouse"

    def __init__(self, endpoints: Endpoints, catalog: Catalog, control: ControlDatabase) -> None:
        self._endpoint = endpoints.clickhouse
        self._catalog = catalog
        self._control = control

    @cached_property
    def _client(self) -> Client:
        """One for all: opening a client takes ten times as long as a small query."""
        return clickhouse.connect(self._endpoint)

    def plan(self) -> list[Step]:
        live = live_tables(self._client)
        views = view_queries(self._client)
        before = applied(self._control)
        steps: list[Step] = []
        for table in self._catalog:
            view = views.get((render.view_database(table), table.name))
            steps += self._steps(table, live, view, before.get(table.name, UNAPPLIED))
        return steps

    def _steps(
        self, table: Table, live: dict[str, Live], view: str | None, before: Applied
    ) -> Iterator[Step]:
        """`view` is the query of the table's reading view, None if there is no view."""
        if physical_name(table) not in live:
            summary = f"{len(table.columns)} columns, ordered by {', '.join(render.sorting_key(table))}"
            yield Step(Phase.CREATE_TABLE, self.name, "create", table.name, summary)
            return
        found = difference(table, live[physical_name(table)], before)
        yield from self._alterations(table, live, found)
        if found.removed:
            lines = tuple(f"- {name}" for name in found.removed)
            yield Step(
                Phase.DROP_COLUMNS,
                self.name,
                "drop",
                table.name,
                "columns that the contract no longer has",
                lines,
                destructive=True,
            )
        if view is not None and _is_stale(table, view):
            yield Step(
                Phase.STORE_CONTRACT,
                self.name,
                "run",
                table.name,
                f"recreate its view on the active generation, {table.generation}",
            )
        elif not found.removed and not found.lines and before.fingerprint != fingerprint(table):
            yield Step(
                Phase.STORE_CONTRACT, self.name, "run", table.name, "store the contract; its table matches it"
            )

    def _alterations(self, table: Table, live: dict[str, Live], found: Difference) -> Iterator[Step]:
        current = live[physical_name(table)]
        destructive = False
        if scratch_name(table) in live:
            summary = "finish an interrupted rebuild"
        elif found.needs_rebuild:
            keys = KEYS_CHANGE if keys_change(table, current, found) else ""
            summary = f"rebuild: the sorting key cannot be altered in place{keys}"
            destructive = found.narrows or identity_changes(table, current)
        elif found.lines:
            summary = f"{len(found.lines)} columns"
            destructive = found.narrows
        else:
            return
        yield Step(
            Phase.ALTER_TABLE, self.name, "change", table.name, summary, found.lines, destructive=destructive
        )

    def apply(self, step: Step) -> None:
        client = self._client
        try:
            self._apply(client, step)
        except ClickHouseError as error:
            raise clickhouse.classify(self._endpoint, error) from error

    def _apply(self, client: Client, step: Step) -> None:
        table = self._catalog[step.subject]
        for database in (render.STORAGE_DATABASE, render.view_database(table)):
            client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
        if step.action == "create":
            client.command(render.create_storage_table(table))
        live = live_tables(client)
        before = applied(self._control).get(table.name, UNAPPLIED)
        found = difference(table, live[physical_name(table)], before)
        if step.action == "change":
            self._change(
                client, table, found, before, resumed=scratch_name(table) in live and not found.needs_rebuild
            )
        with self._control.alone(view_lock(table)):
            client.command(render.create_current_view(table, (*table.names, *found.kept)))
            if step.action == "drop":
                for name in found.removed:
                    client.command(render.drop_column(table, name))
            if step.action == "drop" or not found.removed:
                save(self._control, table)

    def _change(
        self, client: Client, table: Table, found: Difference, before: Applied, *, resumed: bool
    ) -> None:
        if resumed or found.needs_rebuild:
            copy_and_swap(client, table, renamed(table, before), resumed=resumed)
            return
        for old, name in found.renamed.items():
            client.command(render.rename_column(table, old, name))
        for name in found.new:
            client.command(render.add_column(table, table.column(name)))
        for name in found.retyped:
            client.command(render.modify_column(table, table.column(name)))


def _is_stale(table: Table, view: str) -> bool:
    """Whether a swap of generations was interrupted between the pointer and the view."""
    return isinstance(
        table.source, Computed
    ) and f"FROM {unquoted(render.storage_table(table))} FINAL" not in unquoted(view)
