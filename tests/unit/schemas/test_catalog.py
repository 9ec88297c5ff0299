from __future__ import annotations

from pathlib import Path

import pytest

from schemas.catalog import load
from schemas.names import unusable_name_reason
from schemas.table import Shards

CONTRACT = """
from schemas import privacy as p
from schemas import types as t
from schemas.table import Latest, Metadata, Table, immutable

{name} = Table(name={table!r}, source=Metadata({database!r}), key=("id",), history=Latest(),
    columns=(immutable(1, "id", t.Int(), p.PUBLIC),))
"""


@pytest.mark.parametrize(
    ("table", "database", "reason"),
    [
        ("表" * 45, "shop", "takes 405 characters in ClickHouse's file names"),
        ("lines", "my.shop", "database 'my.shop' has a dot in its name"),
    ],
)
def test_a_contract_that_cannot_be_applied_leaves_the_others_usable(
    tmp_path: Path, table: str, database: str, reason: str
) -> None:
    (tmp_path / "bad.py").write_text(CONTRACT.format(name="bad", table=table, database=database))
    (tmp_path / "orders.py").write_text(CONTRACT.format(name="orders", table="orders", database="shop"))
    catalog = load(str(tmp_path)).with_generations({})
    assert [found.name for found in catalog] == ["orders"]
    (refused,) = catalog.refused
    assert refused.name == table
    assert reason in refused.reason


def test_a_pattern_of_shards_does_not_match_a_database_with_a_dot() -> None:
    assert Shards("*").matches("my_shop")
    assert not Shards("*").matches("my.shop")


@pytest.mark.parametrize("name", ["a" * 64, "order lines", "é" * 32, "表" * 21])
def test_names_that_fit_into_clickhouse_s_file_names(name: str) -> None:
    assert unusable_name_reason(name) is None


@pytest.mark.parametrize("name", ["é" * 33, "表" * 22, "😀" * 17])
def test_names_that_are_too_long_for_clickhouse(name: str) -> None:
    assert unusable_name_reason(name) is not None
