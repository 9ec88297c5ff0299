from __future__ import annotations

from pathlib import Path

import pytest

from schemas.catalog import load
from schemas.names import unusable_name_reason

CONTRACT = """
from schemas import privacy as p
from schemas import types as t
from schemas.table import Latest, Metadata, Table, immutable

{name} = Table(name={table!r}, source=Metadata("shop"), key=("id",), history=Latest(),
    columns=(immutable(1, "id", t.Int(), p.PUBLIC),))
"""


def test_a_contract_that_cannot_be_applied_leaves_the_others_usable(tmp_path: Path) -> None:
    long = "表" * 45
    (tmp_path / "long.py").write_text(CONTRACT.format(name="long", table=long))
    (tmp_path / "orders.py").write_text(CONTRACT.format(name="orders", table="orders"))
    catalog = load(str(tmp_path)).with_generations({})
    assert [table.name for table in catalog] == ["orders"]
    (refused,) = catalog.refused
    assert refused.name == long
    assert "takes 405 characters" in refused.reason


@pytest.mark.parametrize("name", ["a" * 64, "order lines", "é" * 32, "表" * 21])
def test_names_that_fit_into_clickhouse_s_file_names(name: str) -> None:
    assert unusable_name_reason(name) is None


@pytest.mark.parametrize("name", ["é" * 33, "表" * 22, "😀" * 17])
def test_names_that_are_too_long_for_clickhouse(name: str) -> None:
    assert unusable_name_reason(name) is not None
