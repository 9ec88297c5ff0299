"""Named queries are of one tenant, whatever is asked, and show no column of unknown class."""

from __future__ import annotations

import dataclasses

from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog, load
from schemas.render.analytics import queries
from schemas.table import optional

CATALOG = load("schemas.contracts")


def test_every_query_is_of_the_token_s_tenant() -> None:
    found = queries(CATALOG)
    assert [name for name, query in found.items() if "`account_id` = {tenant:UInt64}" not in query.sql] == []
    assert [name for name, query in found.items() if "tenant" in query.parameters] == []
    assert {"interactions.rows", "interactions.by_day", "teams.rows", "structured_interactions.rows"} <= found.keys()
    assert "teams.by_day" not in found


def test_a_table_without_a_tenant_has_no_query() -> None:
    assert queries(Catalog((dataclasses.replace(CATALOG["teams"], tenant=None),))) == {}


def test_a_column_of_unknown_class_is_left_out() -> None:
    teams = CATALOG["teams"]
    wider = dataclasses.replace(teams, columns=(*teams.columns, optional(99, "secret", t.Text(), p.UNCLASSIFIED)))
    assert "secret" not in queries(Catalog((wider,)))["teams.rows"].sql
