"""Which catalogs have live views."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.errors import MisconfiguredError
from schemas.catalog import Catalog, load
from schemas.table import Computed
from streamer.sample.live_views import live_tables
from tests.launching import ROOT

CONTRACTS = ROOT / "tests" / "contracts"

SAMPLE = load("schemas.contracts")
LIVE = {"agent_status", "queue_stats", "queue_minutes", "agent_activity"}


def without(*names: str) -> Catalog:
    return Catalog(tuple(table for table in SAMPLE if table.name not in names))


def test_the_sample_has_them() -> None:
    assert {table.name for table in live_tables(SAMPLE)} == LIVE


def test_other_contracts_have_none_even_with_a_captured_table_of_such_a_name() -> None:
    shop = load(str(CONTRACTS)).select(["tickets", "open_tickets"])
    assert live_tables(Catalog(shop)) == ()
    captured = replace(SAMPLE["interactions"], name="queue_stats")
    assert live_tables(Catalog((*shop, captured))) == ()
    computed = replace(SAMPLE["queue_stats"], name="agent_activity", source=Computed("ours", "realtime"))
    assert live_tables(Catalog((*shop, computed))) == ()


def test_the_sample_s_captured_tables_alone_have_none() -> None:
    assert live_tables(SAMPLE.captured) == ()


@pytest.mark.parametrize("lacking", sorted(LIVE))
def test_some_of_the_tables_without_the_others_are_refused(lacking: str) -> None:
    with pytest.raises(MisconfiguredError, match=f"^there is no contract of {lacking}$"):
        live_tables(without(lacking))
