"""What a plan makes of the difference between a contract and the live table."""

from __future__ import annotations

import pytest

from consumers.applied_contracts import Applied
from consumers.live_tables import Live
from consumers.table_difference import Difference, difference, keys_change
from schemas import privacy as p
from schemas import types as t
from schemas.render.clickhouse import all_columns, sorting_key
from schemas.table import ClickHouse, Latest, Shards, Table, immutable, optional

INT = t.Int(32)


def table(key: t.Type = INT, *names: str, number: t.Type = INT) -> Table:
    columns = [optional(position, name, number, p.PUBLIC) for position, name in enumerate(names, 2)]
    return Table("orders", Shards("*"), ("id",), Latest(), (immutable(1, "id", key, p.PUBLIC), *columns))


def found(before: Table, after: Table) -> Difference:
    return difference(after, live(before), Applied("", {column.id: column.name for column in before.columns}))


def live(before: Table) -> Live:
    return Live(dict(all_columns(before)), ", ".join(sorting_key(before)), "")


def test_a_new_column_is_added() -> None:
    assert found(table(INT, "a"), table(INT, "a", "b")).new == ("b",)


def test_a_column_that_keeps_its_id_is_renamed() -> None:
    assert found(table(INT, "a"), table(INT, "b")).renamed == {"a": "b"}


def test_a_column_that_the_contract_had_is_gone() -> None:
    assert found(table(INT, "a", "b"), table(INT, "a")).removed == ("b",)


@pytest.mark.parametrize(("old", "new", "narrows"), [(32, 64, False), (64, 32, True)])
def test_only_a_narrower_column_can_lose_values(old: int, new: int, narrows: bool) -> None:
    assert found(table(INT, "a", number=t.Int(old)), table(INT, "a", number=t.Int(new))).narrows is narrows


@pytest.mark.parametrize(
    ("old", "new", "keys_change_too"),
    [
        (t.Int(32), t.Int(64), False),
        (t.Int(32), t.UInt(64), False),
        (t.Int(64), t.Decimal(30, 4), True),
        (t.DateTime(3), t.DateTime(6), True),
    ],
)
def test_another_key_rebuilds_and_only_integers_keep_the_bytes_of_the_records_keys(
    old: t.Type, new: t.Type, keys_change_too: bool
) -> None:
    change = found(table(old), table(new))
    assert change.needs_rebuild
    assert keys_change(table(new), live(table(old)), change, Applied("", {})) is keys_change_too


@pytest.mark.parametrize(("before", "after"), [(("id", "a"), ("a", "id")), (("id", "b"), ("id", "a"))])
def test_the_bytes_of_records_keys_change_with_the_order_and_the_names_of_their_columns(
    before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    columns = (immutable(1, "id", INT, p.PUBLIC), immutable(2, "a", INT, p.PUBLIC))
    storage = ClickHouse(order_by=("id", "a"))
    contract = Table("orders", Shards("*"), after, Latest(), columns, clickhouse=storage)
    change = found(contract, contract)
    assert not change.needs_rebuild
    assert keys_change(contract, live(contract), change, Applied("", {}, key=before))
    assert not keys_change(contract, live(contract), change, Applied("", {}, key=after))
