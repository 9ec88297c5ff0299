"""A required column that records lack: dropped by its shard, or not there yet, as the source's DDL tells."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.source_columns import SourceColumns

X = frozenset({"x"})


def ddl(kind: str, database: str, *columns: str, before: str = "") -> dict[str, Any]:
    table = {"columns": [{"name": name} for name in columns]}
    item = {"type": kind, "id": f'"{database}"."orders"', "table": table} | (
        {"previousId": f'"{database}"."{before}"'} if before else {}
    )
    return {"databaseName": database, "tableChanges": [item]}


def gone(*records: dict[str, Any]) -> dict[str, frozenset[str]]:
    found = SourceColumns()
    for record in records:
        found.learn(record)
    return found.dropped("orders", X)


A_HAS_IT = (ddl("CREATE", "acc_a", "id"), ddl("ALTER", "acc_a", "id", "x"))


def test_another_shard_that_never_had_it_may_be_altered_meanwhile() -> None:
    assert gone(ddl("CREATE", "acc_b", "id"), *A_HAS_IT, ddl("ALTER", "acc_b", "id", "y")) == {}


def test_the_shard_that_dropped_it_is_named() -> None:
    assert gone(*A_HAS_IT, ddl("ALTER", "acc_a", "id"), ddl("ALTER", "acc_a", "id", "y")) == {"acc_a": X}


@pytest.mark.parametrize(
    "then", [ddl("ALTER", "acc_a", "id", "x"), ddl("DROP", "acc_a"), ddl("CREATE", "acc_a", "id")]
)
def test_a_column_that_is_there_again_or_whose_table_went_is_not_gone(then: dict[str, Any]) -> None:
    assert gone(*A_HAS_IT, ddl("ALTER", "acc_a", "id"), then) == {}


def test_a_table_is_followed_through_its_renaming() -> None:
    before = {
        **ddl("CREATE", "acc_a", "id", "x"),
        "tableChanges": [{**ddl("CREATE", "acc_a", "id", "x")["tableChanges"][0]}],
    }
    before["tableChanges"][0]["id"] = '"acc_a"."older"'
    assert gone(before, ddl("ALTER", "acc_a", "id", "y", before="older")) == {"acc_a": X}


def column_names(field: str, *records: dict[str, Any]) -> str:
    known = SourceColumns()
    for record in records:
        known.learn(record)
    return known.column_names("orders", frozenset({field}))[field]


@pytest.mark.parametrize(
    ("columns", "field", "name"),
    [
        (("blood type", "x"), "blood_type", "blood type"),
        (("unit-price", "unit price!"), "unit_price", "unit-price"),
        (("2nd",), "_2nd", "2nd"),
        (("blood_type",), "blood_type", "blood_type"),
        (("x",), "blood_type", "blood_type"),
    ],
)
def test_a_field_has_the_name_of_its_column(columns: tuple[str, ...], field: str, name: str) -> None:
    assert column_names(field, ddl("CREATE", "acc_a", "id"), ddl("ALTER", "acc_a", "id", *columns)) == name


def test_shards_that_spell_a_column_differently_share_it() -> None:
    records = (ddl("CREATE", "acc_a", "id", "blood type"), ddl("CREATE", "acc_b", "id", "blood-type"))
    assert (
        column_names("blood_type", *records) == column_names("blood_type", *reversed(records)) == "blood type"
    )
