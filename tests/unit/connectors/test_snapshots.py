"""How a collection is named in a signal to Debezium."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.snapshots import spelled


@pytest.mark.parametrize("name", ["acc_1.calls", "tele-shop.order-lines", "acc_1.a+b(c)", "a$b.ünï"])
def test_a_name_is_a_pattern_that_matches_it_alone(name: str) -> None:
    assert re.fullmatch(spelled(name), name)


@given(st.text("ab .`'\"", min_size=1))
def test_a_name_that_debezium_would_cut_stands_in_backticks_that_no_name_matches(table: str) -> None:
    name = f"acc_1.{table}"
    if re.fullmatch(r"[ab]+", table):
        assert spelled(name) == name
    else:
        assert spelled(name) == f"acc_1.`{table.replace('`', '``')}`"
        assert not re.fullmatch(spelled(name), name)
