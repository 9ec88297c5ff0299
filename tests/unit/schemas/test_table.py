"""A contract that contradicts itself is refused, with every fault in one line."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import ContractError, MisconfiguredError
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog, load
from schemas.names import topic_of
from schemas.table import ClickHouse, Latest, Metadata, Month, Scd2, Table, immutable, optional, required

GOOD: dict[str, Any] = {
    "name": "things",
    "source": Metadata(),
    "key": ("id",),
    "history": Scd2(),
    "columns": (
        immutable(1, "id", t.UInt(64), p.PUBLIC),
        immutable(2, "made_at", t.DateTime(3), p.PUBLIC),
        optional(3, "weight", t.Float(), p.PUBLIC),
        required(4, "state", t.Enum(), p.PUBLIC),
    ),
}


def with_zero(kind: t.Type, zero: str) -> dict[str, Any]:
    return {"columns": (*GOOD["columns"], optional(5, "x", kind, p.PUBLIC, zero=zero))}


EVERY_COLUMN = {"key": ("x",), "keyed_by_all_columns": True, "tenant": None}
FAULTS = [
    ({"key": ("nothing",)}, "key column 'nothing' does not exist"),
    ({"key": ()}, "no key"),
    ({"key": ("id", "weight")}, "nullable"),
    ({"tenant": "nobody"}, "tenant column 'nobody' does not exist"),
    ({"clickhouse": ClickHouse(order_by=("state",))}, "neither key nor declared immutable"),
    ({"clickhouse": ClickHouse(partition_by=Month("id"))}, "is not a date or time"),
    ({"clickhouse": ClickHouse(keep_days=9)}, "keep_days needs a partition column"),
    (
        {"history": Latest(), "clickhouse": ClickHouse(partition_by=Month("made_at"), keep_days=9)},
        "has no retention",
    ),
    ({"columns": (*GOOD["columns"], required(4, "again", t.Text(), p.PUBLIC))}, "two columns share an id"),
    ({"columns": (*GOOD["columns"], required(5, "id", t.Text(), p.PUBLIC))}, "two columns share a name"),
    ({"columns": (*GOOD["columns"], required(5, "_offset", t.Text(), p.PUBLIC))}, "one that landing adds"),
    ({"keyed_by_all_columns": True}, "needs every column in the key"),
    (with_zero(t.Date(), "1900-02-30"), "column 'x': zero='1900-02-30' is not a date such as '2000-01-01'"),
    (with_zero(t.DateTime(), "1900-01-01T00:00:00Z"), "is not a time without a zone"),
    (with_zero(t.Year(), "0"), "is not a year such as '0000'"),
    (with_zero(t.Int(), "0"), "is not possible: the type has no zero dates"),
    (EVERY_COLUMN | {"columns": (optional(1, "x", t.Json(), p.PUBLIC),)}, "key column 'x' is JSON"),
    (EVERY_COLUMN | {"columns": (optional(1, "x", t.Float(64), p.PUBLIC),)}, "give the table a primary key"),
]


def test_a_good_contract_is_taken() -> None:
    assert Table(**GOOD).order_by == ("id",)


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_a_contradiction_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match="contract 'things'") as caught:
        Table(**{**GOOD, **change})
    assert message in str(caught.value)


def test_every_table_of_the_sample_has_its_tenant() -> None:
    tables = load("schemas.contracts").tables
    assert len(load("schemas.contracts").captured.tables) == 9
    assert all(table.tenant == "account_id" for table in tables)


def test_two_tables_of_one_topic_are_refused() -> None:
    left, right = Table(**{**GOOD, "name": "a b"}), Table(**{**GOOD, "name": "a?b"})
    assert topic_of(left) == topic_of(right)
    with pytest.raises(ContractError, match=r"would share topic cdc\.a_b"):
        Catalog((left, right))


def test_an_unknown_folder_of_contracts_is_one_line() -> None:
    with pytest.raises(MisconfiguredError, match="no_such_package"):
        load("no_such_package")
