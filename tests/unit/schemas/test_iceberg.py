"""The lake's schema: nothing of MySQL is lost in it, and a column keeps its id."""

from __future__ import annotations

import json

import pytest
from pyiceberg.schema import Schema

from core.errors import ContractError
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import load
from schemas.render.iceberg import plain_type, schema, table_name
from schemas.table import Column, Latest, Shards, Table, immutable, optional
from tests.golden import reviewed


def table(*columns: Column, name: str = "calls", keyless: bool = False) -> Table:
    chosen = (immutable(1, "id", t.Int(), p.PUBLIC), *columns)
    key = tuple(column.name for column in chosen) if keyless else ("id",)
    return Table(
        name=name,
        source=Shards("acc_*"),
        key=key,
        history=Latest(),
        columns=chosen,
        keyed_by_all_columns=keyless,
    )


def test_what_is_rendered_is_what_was_reviewed() -> None:
    text = json.dumps(schema(load("schemas.contracts")["interactions"]), indent=1) + "\n"
    assert text == reviewed("interactions.iceberg.json", text)


@pytest.mark.parametrize(
    ("kind", "held"),
    [
        (t.UInt(24), "int"),
        (t.UInt(32), "long"),
        (t.UInt(64), "decimal(20, 0)"),
        (t.Bit(63), "long"),
        (t.Bit(64), "decimal(20, 0)"),
        (t.Decimal(38, 30), "decimal(38, 30)"),
        (t.Decimal(39, 0), "string"),
        (t.Time(0), "long"),
        (t.DateTime(0), "timestamp"),
        (t.Timestamp(6), "timestamptz"),
        (t.Binary(8), "binary"),
    ],
)
def test_a_type_is_held_by_one_that_holds_all_its_values(kind: t.Type, held: str) -> None:
    assert plain_type(kind) == held


def test_a_renamed_column_stays_the_same_field() -> None:
    before, after = (schema(table(optional(7, name, t.Text(), p.PUBLIC))) for name in ("old", "new"))
    assert [field["id"] for field in before["fields"]] == [field["id"] for field in after["fields"]]
    assert after["fields"][1] == {"id": 7, "name": "new", "required": False, "type": "string"}


def test_our_own_fields_have_ids_that_no_later_column_takes() -> None:
    ours = [
        (field["name"], field["id"]) for field in schema(table())["fields"] if field["name"].startswith("_")
    ]
    assert ours == [("_shard", 1_000_000), ("_version", 1_000_001), ("_deleted", 1_000_002)]


@pytest.mark.parametrize("wrong", [0, -1, 1_000_000])
def test_an_id_that_is_no_field_id_is_refused(wrong: int) -> None:
    with pytest.raises(ContractError, match="ids of note"):
        schema(table(optional(wrong, "note", t.Text(), p.PUBLIC)))


def test_a_row_is_identified_by_its_key_and_shard() -> None:
    assert schema(table())["identifier-field-ids"] == [1, 1_000_000]


def test_a_table_keyed_by_columns_that_iceberg_cannot_identify_by_has_no_identifier() -> None:
    assert schema(table(optional(2, "note", t.Text(), p.PUBLIC), keyless=True))["identifier-field-ids"] == []


@pytest.mark.parametrize(
    "contract", [*load("tests/contracts"), *load("schemas.contracts")], ids=lambda contract: contract.name
)
def test_every_contract_is_a_schema_to_iceberg(contract: Table) -> None:
    read = Schema.model_validate(schema(contract))
    assert {field.name: field.field_id for field in read.fields if field.field_id < 1_000_000} == {
        column.name: column.id for column in contract.columns
    }


def test_a_name_is_written_as_the_catalog_allows() -> None:
    assert table_name(table(name="Order items/2é")) == "order_items_2_"
