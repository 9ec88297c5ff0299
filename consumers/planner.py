"""Planning of ClickHouse: the live tables, those of the contracts, and the steps from one to the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from consumers.applied_contracts import UNAPPLIED, Applied, applied, fingerprint, save
from consumers.clickhouse_writer import STRUCTURE_ERRORS, UnfitTableError
from consumers.table_rebuild import copy_and_swap, scratch_name
from core.clients import clickhouse
from core.control import ControlDatabase
from core.errors import SwitchboardError, TransientError
from core.settings import Endpoints
from schemas.catalog import Catalog
from schemas.names import ch_string, physical_name
from schemas.plan_step import Phase, Step
from schemas.render import clickhouse as render
from schemas.table import Computed, Table

KEYS_CHANGE = (
    "; the keys of its records change too, and with them their partitions, which loses the order of older "
    "changes: "
    "delete its topic first, so that `apply` recreates it and snapshots the table"
)


@dataclass(frozen=True)
class Live:
    """A physical table in ClickHouse: column -> type, and its keys in ClickHouse's notation, without
    quotes."""

    columns: dict[str, str]
    sorting: str
    partition: str


@dataclass(frozen=True)
class Difference:
    """The changes from a live table to its contract's."""

    renamed: dict[str, str]
    new: tuple[str, ...]
    retyped: dict[str, tuple[str, str]]
    """Column -> (live type, wanted type)."""
    removed: tuple[str, ...]
    """Columns that the contract no longer has, or whose policy rules them out."""
    kept: tuple[str, ...]
    """Columns that the contract does not describe, shown in the view."""
    keys: tuple[str, ...]
    """Lines that describe changes of the sorting or partition key."""
    needs_rebuild: bool
    narrows: bool

    @property
    def lines(self) -> tuple[str, ...]:
        return (
            *(f"{old} -> {name} (renamed)" for old, name in self.renamed.items()),
            *(f"+ {name}" for name in self.new),
            *(f"~ {name} {live} -> {wanted}" for name, (live, wanted) in self.retyped.items()),
            *self.keys,
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
        live = _live_tables(self._client)
        views = _views(self._client)
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
        if scratch_name(table) in live:
            yield Step(
                Phase.ALTER_TABLE,
                self.name,
                "change",
                table.name,
                "finish an interrupted rebuild",
                found.lines,
            )
        elif found.needs_rebuild:
            summary = "rebuild: the sorting key cannot be altered in place" + (
                KEYS_CHANGE if keys_change(table, live[physical_name(table)], found) else ""
            )
            yield Step(
                Phase.ALTER_TABLE,
                self.name,
                "change",
                table.name,
                summary,
                found.lines,
                found.narrows or _identity_changes(table, live[physical_name(table)]),
            )
        elif found.lines:
            yield Step(
                Phase.ALTER_TABLE,
                self.name,
                "change",
                table.name,
                f"{len(found.lines)} columns",
                found.lines,
                found.narrows,
            )
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
        live = _live_tables(client)
        before = applied(self._control).get(table.name, UNAPPLIED)
        found = difference(table, live[physical_name(table)], before)
        if step.action == "change":
            self._change(
                client, table, found, before, resumed=scratch_name(table) in live and not found.needs_rebuild
            )
        with self._control.alone(_view_lock(table)):
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
            copy_and_swap(client, table, _renamed(table, before), resumed=resumed)
            return
        for old, name in found.renamed.items():
            client.command(render.rename_column(table, old, name))
        for name in found.new:
            client.command(render.add_column(table, table.column(name)))
        for name in found.retyped:
            client.command(render.modify_column(table, table.column(name)))

    def prepare(self, table: Table, landed: Table) -> None:
        """Prepares the live table for `landed`: `table` and the columns that its records have beyond the
        contract.

        Raises UnfitTableError where a column is narrower than what is landed, as it is until a wider contract
        is applied: ClickHouse would convert the values of an INSERT and silently truncate those that do not
        fit. Raises TransientError or MisconfiguredError as an INSERT does. Blocks on ClickHouse and the
        control database.
        """
        try:
            retyped = self._add_columns(table, landed)
        except (ClickHouseError, HTTPError, OSError) as error:
            raise self._classified(table, error) from error
        _refuse_narrower(
            table, {column: kinds for column, kinds in retyped.items() if _narrows(*reversed(kinds))}
        )

    def _add_columns(self, table: Table, landed: Table) -> dict[str, tuple[str, str]]:
        """Adds and widens the columns beyond the contract; returns the rest of `Difference.retyped`."""
        client = self._client
        extra = landed.columns[len(table.columns) :]
        name = physical_name(table)
        for column in extra:
            client.command(render.add_column(landed, column))
        if name not in (live := _live_tables(client, name)):
            return {}  # the INSERT reports it
        before = applied(self._control).get(table.name, UNAPPLIED)
        retyped = difference(landed, live[name], before).retyped
        for column in extra:
            if column.name in retyped and not _narrows(*retyped[column.name]):
                client.command(render.modify_column(landed, column))
                del retyped[column.name]
        if extra:
            self._recreate_view(client, table)
        return retyped

    def _recreate_view(self, client: Client, table: Table) -> None:
        """Recreates the reading view with the columns of the contract that was applied last, then every other
        column of the table.

        The applied contract may be newer than `table`, which the lander loaded when it started: its columns
        must stay readable.
        """
        with self._control.alone(_view_lock(table)):
            live = _live_tables(client, physical_name(table)).get(physical_name(table))
            before = applied(self._control).get(table.name, UNAPPLIED)
            if live is None:
                return  # dropped meanwhile: the INSERT reports it
            described = (
                table.names
                if before.fingerprint in ("", fingerprint(table))
                else tuple(before.columns.values())
            )
            excluded = {*described, *(name for name, _ in render.META_COLUMNS)}
            others = (name for name in live.columns if name not in excluded)
            client.command(render.create_current_view(table, (*described, *others)))

    def _classified(self, table: Table, error: Exception) -> SwitchboardError:
        """Returns the error as that of an INSERT: changes by `apply` meanwhile, and ClickHouse's own
        failures, must not end a lander."""
        code = clickhouse.error_code(error)
        if code in STRUCTURE_ERRORS:
            return UnfitTableError(
                f"table {table.name!r}: {clickhouse.first_line(error)}", "run `switchboard apply`"
            )
        if code is None or code in clickhouse.AUTHENTICATION_FAILED:
            return clickhouse.classify(self._endpoint, error)
        return TransientError(f"table {table.name!r}: {clickhouse.first_line(error)}")


def _view_lock(table: Table) -> str:
    """Held from reading the applied contract to recreating the view: `apply` and landers do both."""
    return f"view of {table.name}"


def _refuse_narrower(table: Table, narrower: Mapping[str, tuple[str, str]]) -> None:
    """Column -> (live type, the type that is landed)."""
    if not narrower:
        return
    lines = ", ".join(
        f"column {name} is {live}, its values are {wanted}" for name, (live, wanted) in narrower.items()
    )
    described = all(name in table.names for name in narrower)
    raise UnfitTableError(
        f"table {table.name!r}: {lines}",
        "run `switchboard apply`" if described else "describe it in the contract, then `switchboard apply`",
    )


def _views(client: Client) -> dict[tuple[str, str], str]:
    """Returns the query of each view by database and name."""
    views = client.query(
        "SELECT database, name, as_select FROM system.tables WHERE engine = 'View'"
    ).result_rows
    return {(str(database), str(name)): str(query) for database, name, query in views}


def _is_stale(table: Table, view: str) -> bool:
    """Whether a swap of generations was interrupted between the pointer and the view."""
    return isinstance(
        table.source, Computed
    ) and f"FROM {_unquoted(render.storage_table(table))} FINAL" not in _unquoted(view)


def _live_tables(client: Client, name: str | None = None) -> dict[str, Live]:
    """Returns live tables by name: all, or the given one."""
    columns: dict[str, dict[str, str]] = {}
    chosen = f"database = '{render.STORAGE_DATABASE}'"
    one = "" if name is None else f" AND {{}} = {ch_string(name)}"
    query = (
        f"SELECT table, name, type FROM system.columns WHERE {chosen}{one.format('table')} ORDER BY table, "
        "position"
    )
    for table, column, kind in client.query(query).result_rows:
        columns.setdefault(table, {})[column] = kind
    keys = client.query(
        f"SELECT name, sorting_key, partition_key FROM system.tables WHERE {chosen}{one.format('name')}"
    ).result_rows
    return {
        name: Live(columns.get(name, {}), _unquoted(sorting), _unquoted(partition))
        for name, sorting, partition in keys
    }


def _unquoted(expression: str) -> str:
    return expression.replace("`", "")


def difference(table: Table, live: Live, before: Applied) -> Difference:
    """Returns what has to change in the live table, given the contract that was applied last."""
    wanted = dict(render.all_columns(table))
    new_names = _renamed(table, before)
    renamed = {
        old: name for old, name in new_names.items() if old in live.columns and name not in live.columns
    }
    undescribed = [name for name in live.columns if name not in wanted and name not in new_names]
    described = set(before.columns.values())
    removed = [name for name in undescribed if name in described or table.unknown_column != "evolve"]
    retyped = {
        name: (live.columns[name], kind)
        for name, kind in wanted.items()
        if name in live.columns and not _accepts(_without_spaces(live.columns[name]), _without_spaces(kind))
    }
    keys = _key_lines(table, live)
    return Difference(
        renamed=renamed,
        new=tuple(name for name in wanted if name not in live.columns and name not in renamed.values()),
        retyped=retyped,
        removed=tuple(removed),
        kept=tuple(name for name in undescribed if name not in removed),
        keys=keys,
        needs_rebuild=bool(keys) or any(name in render.sorting_key(table) for name in retyped),
        narrows=any(_narrows(*kinds) for kinds in retyped.values()),
    )


def _renamed(table: Table, before: Applied) -> dict[str, str]:
    """Returns old name -> new name of the columns whose permanent id had another name in the contract applied
    last."""
    names = {column.id: column.name for column in table.columns}
    return {
        old: names[key]
        for key, old in before.columns.items()
        if names.get(key, old) != old and old not in table.names
    }


def _key_lines(table: Table, live: Live) -> tuple[str, ...]:
    sorting, month = _unquoted(render.sorting_expression(table)), table.clickhouse.partition_by
    partition = "" if month is None else _unquoted(render.partition_expression(month))
    pairs = (("ordered by", live.sorting, sorting), ("partitioned by", live.partition, partition))
    return tuple(
        f"~ {what} {old or 'nothing'} -> {new or 'nothing'}" for what, old, new in pairs if old != new
    )


def _identity_changes(table: Table, live: Live) -> bool:
    """Whether another set of columns identifies rows, so that some would merge or appear twice."""
    return set(live.sorting.split(", ")) != set(_unquoted(render.sorting_expression(table)).split(", "))


def keys_change(table: Table, live: Live, found: Difference) -> bool:
    """Whether the bytes of record keys change: integers of any width are encoded alike, other types may not
    be."""
    changed = (kinds for name, kinds in found.retyped.items() if name in table.key)
    return _identity_changes(table, live) or any("Int" not in old or "Int" not in new for old, new in changed)


def _without_spaces(kind: str) -> str:
    return kind.replace(" ", "")


def _accepts(live: str, wanted: str) -> bool:
    """A column that landing added before the contract described it is nullable, and may stay so."""
    return live in (
        wanted,
        f"Nullable({wanted})",
        wanted.replace("LowCardinality(String)", "LowCardinality(Nullable(String))"),
    )


def _narrows(live: str, wanted: str) -> bool:
    """Whether a change of type could lose a value: everything but a wider integer, or null allowed."""
    if _without_spaces(wanted) == f"Nullable({_without_spaces(live)})":
        return False
    order = ["Int8", "Int16", "Int32", "Int64"]
    old, new = live.removeprefix("Nullable(").rstrip(")"), wanted.removeprefix("Nullable(").rstrip(")")
    for prefix in ("", "U"):
        names = [prefix + name for name in order]
        if old in names and new in names:
            return names.index(new) < names.index(old)
    return old != new or (live.startswith("Nullable") and not wanted.startswith("Nullable"))
