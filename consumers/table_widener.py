"""Widens live tables for records with columns that no contract describes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from consumers.applied_contracts import UNAPPLIED, applied, fingerprint, view_lock
from consumers.clickhouse_writer import STRUCTURE_ERRORS, UnfitTableError
from consumers.live_tables import live_tables
from consumers.table_difference import difference, narrows
from core.clients import clickhouse
from core.control import ControlDatabase
from core.errors import SwitchboardError, TransientError
from core.settings import ClickHouseEndpoint
from schemas.names import physical_name
from schemas.render import clickhouse as render
from schemas.table import Table


class TableWidener:
    """Used by landers before they insert records of a schema that is new to them."""

    def __init__(self, endpoint: ClickHouseEndpoint, control: ControlDatabase) -> None:
        self._endpoint = endpoint
        self._control = control

    @cached_property
    def _client(self) -> Client:
        """One for all: opening a client takes ten times as long as a small query."""
        return clickhouse.connect(self._endpoint)

    def widen(self, table: Table, landed: Table) -> None:
        """Widens the live table for `landed`: `table` and the columns that its records have beyond the
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
            table, {column: kinds for column, kinds in retyped.items() if narrows(*reversed(kinds))}
        )

    def _add_columns(self, table: Table, landed: Table) -> dict[str, tuple[str, str]]:
        """Adds and widens the columns beyond the contract; returns the rest of `Difference.retyped`."""
        client = self._client
        extra = landed.columns[len(table.columns) :]
        name = physical_name(table)
        for column in extra:
            client.command(render.add_column(landed, column))
        if name not in (live := live_tables(client, name)):
            return {}  # the INSERT reports it
        before = applied(self._control).get(table.name, UNAPPLIED)
        retyped = difference(landed, live[name], before).retyped
        for column in extra:
            if column.name in retyped and not narrows(*retyped[column.name]):
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
        with self._control.alone(view_lock(table)):
            live = live_tables(client, physical_name(table)).get(physical_name(table))
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
