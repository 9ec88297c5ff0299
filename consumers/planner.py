"""Planning of ClickHouse: the live tables, those of the contracts, and the steps from one to the other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from consumers.applied_contracts import (
    UNAPPLIED,
    Applied,
    applied,
    fingerprint,
    save,
    view_lock,
    zero_dates,
)
from consumers.live_tables import Live, live_tables, unquoted, view_queries
from consumers.table_difference import (
    Difference,
    difference,
    dropped_by_hand,
    keys_change,
    renamed,
)
from consumers.table_rebuild import copy_and_swap, scratch_name
from core.clients import clickhouse
from core.control import ControlDatabase
from core.control.table_health import ALL_SHARDS, NEEDS_SNAPSHOT, set_condition
from core.settings import Endpoints
from schemas.catalog import Catalog
from schemas.names import physical_name
from schemas.plan_step import Phase, Step
from schemas.render import clickhouse as render
from schemas.table import Computed, Table

KEYS_CHANGE = (
    "; the keys of its records change, and with them their partitions, which loses the order of older "
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
            if before is not UNAPPLIED:
                summary += f"; it was dropped, and {_recovery(table)}"
            yield Step(Phase.CREATE_TABLE, self.name, "create", table.name, summary)
            return
        found = difference(table, live[physical_name(table)], before)
        yield from self._alterations(table, live, found, before)
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
        if not found.lines and (last := _last_step(table, view, found, before)) is not None:
            other_keys = keys_change(table, live[physical_name(table)], found, before)
            summary = last + (KEYS_CHANGE if other_keys else "")
            yield Step(Phase.STORE_CONTRACT, self.name, "run", table.name, summary, destructive=other_keys)

    def _alterations(
        self, table: Table, live: dict[str, Live], found: Difference, before: Applied
    ) -> Iterator[Step]:
        current = live[physical_name(table)]
        destructive = False
        if scratch_name(table) in live:
            summary = "finish an interrupted rebuild"
        elif found.needs_rebuild:
            other_keys = keys_change(table, current, found, before)
            keys = KEYS_CHANGE if other_keys else ""
            summary = f"rebuild: the sorting key cannot be altered in place{keys}"
            destructive = found.narrows or other_keys
        elif found.lines:
            summary = "alter the table"
            destructive = found.narrows
        else:
            return
        if dropped := dropped_by_hand(found, before):
            summary += f"; {', '.join(dropped)} was dropped, and {_recovery(table)}"
        summary += _zero_date_changes(table, before)
        yield Step(
            Phase.ALTER_TABLE,
            self.name,
            "change",
            table.name,
            summary,
            found.lines,
            destructive=destructive or found.expires,
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
        self._request_rows(step, table, found, before)
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

    def _request_rows(self, step: Step, table: Table, found: Difference, before: Applied) -> None:
        """Has the rows read again that somebody has dropped, with their table or column."""
        if isinstance(table.source, Computed) or before is UNAPPLIED:
            return
        if step.action == "create":
            what = "the table was dropped in ClickHouse"
        elif dropped := dropped_by_hand(found, before):
            what = f"dropped in ClickHouse: {', '.join(dropped)}"
        elif changes := _zero_date_changes(table, before):
            what = changes.removeprefix("; ")
        else:
            return
        set_condition(self._control, table.name, ALL_SHARDS, NEEDS_SNAPSHOT, what)

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
        if found.retention is not None:
            client.command(render.modify_retention(table))


def _recovery(table: Table) -> str:
    """How rows come back that somebody has dropped."""
    if isinstance(table.source, Computed):
        return f"`switchboard backfill plan {table.source.job}` computes its rows again"
    return "its rows are read again"


def _last_step(table: Table, view: str | None, found: Difference, before: Applied) -> str | None:
    """What is left to do for a table that matches its contract; None if nothing."""
    if view is None:
        return "create its view, which is missing"
    if _is_stale(table, view):
        return f"recreate its view on the active generation, {table.generation}"
    if found.removed:
        return None  # the view changes with the step that drops them
    wanted = render.create_current_view(table, (*table.names, *found.kept)).partition(" AS\n")[2]
    if _columns_and_source(view) != _columns_and_source(wanted):
        return "recreate its view: it has other columns, or reads another table"
    if before.fingerprint != fingerprint(table):
        return "store the contract; its table matches it" + _zero_date_changes(table, before)
    return None


def _zero_date_changes(table: Table, before: Applied) -> str:
    """The columns whose zero dates become something else than those that have landed; empty for none."""
    becomes = zero_dates(table)
    names = [
        f"{column.name} become {becomes[column.id]}"
        for column in table.columns
        if column.id in becomes and before.zero_dates.get(column.id, becomes[column.id]) != becomes[column.id]
    ]
    return f"; zero dates of {', '.join(names)}, so its rows are read again" if names else ""


def _columns_and_source(query: str) -> tuple[frozenset[str], str]:
    """The columns of a view's query, in any order, and what follows them."""
    columns, _, source = " ".join(unquoted(query).split()).removeprefix("SELECT ").partition(" FROM ")
    return frozenset(columns.split(", ")), source


def _is_stale(table: Table, view: str) -> bool:
    """Whether a swap of generations was interrupted between the pointer and the view."""
    return isinstance(
        table.source, Computed
    ) and f"FROM {unquoted(render.storage_table(table))} FINAL" not in unquoted(view)
