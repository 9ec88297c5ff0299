"""Named queries are of one tenant, whatever is asked, of the token's teams, and show of a person no more than
the token may see."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog, load
from schemas.render.analytics import Query, queries
from schemas.table import Table, optional

CATALOG = load("schemas.contracts")
OF_AGENTS = (
    "`agent_id` IN (SELECT `agent_id` FROM realtime.`agent_status` WHERE `account_id` = {tenant:UInt64} AND "
)
OF_TEAMS = "`team_id` IN {teams:Array(UInt64)}"


def shown(query: Query) -> str:
    return query.sql(clear=True, teams=False)


def test_every_query_is_of_the_token_s_tenant() -> None:
    found = queries(CATALOG)
    ways = list(itertools.product((True, False), repeat=2))
    asked = {
        (name, query.sql(clear=clear, teams=teams)) for name, query in found.items() for clear, teams in ways
    }
    assert [name for name, sql in asked if " WHERE `account_id` = {tenant:UInt64}" not in sql] == []
    assert [name for name, query in found.items() if {"tenant", "teams"} & query.parameters.keys()] == []
    assert {
        "interactions.rows",
        "interactions.by_day",
        "teams.rows",
        "structured_interactions.rows",
    } <= found.keys()
    assert "teams.by_day" not in found


def test_a_table_without_a_tenant_has_no_query() -> None:
    assert queries(Catalog((dataclasses.replace(CATALOG["teams"], tenant=None),))) == {}


def test_a_column_of_unknown_class_is_left_out() -> None:
    teams = CATALOG["teams"]
    wider = dataclasses.replace(
        teams, columns=(*teams.columns, optional(99, "secret", t.Text(), p.UNCLASSIFIED))
    )
    assert "secret" not in shown(queries(Catalog((wider,)))["teams.rows"])


@pytest.mark.parametrize("table", list(CATALOG), ids=lambda table: str(table.name))
def test_personal_columns_are_shown_to_the_scope_of_them_alone(table: Table) -> None:
    query = queries(CATALOG)[f"{table.name}.rows"]
    public = query.sql(clear=False, teams=False).partition(" FROM ")[0]
    for column in table.columns:
        assert (f"`{column.name}`" in public) == (column.privacy == p.PUBLIC)
        assert f"`{column.name}`" in shown(query)


def test_rows_are_not_chosen_by_a_column_that_the_token_may_not_see() -> None:
    table = CATALOG["interactions"]
    columns = tuple(
        dataclasses.replace(column, privacy=p.Generalise("month")) if column.name == "started_at" else column
        for column in table.columns
    )
    found = queries(Catalog((dataclasses.replace(table, columns=columns),)))
    assert [found[f"interactions.{what}"].public for what in ("rows", "by_day")] == ["", ""]
    assert "`started_at`" in shown(found["interactions.rows"])


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("agents.rows", OF_TEAMS),
        ("teams.rows", OF_TEAMS),
        ("agent_status.rows", OF_TEAMS),
        ("structured_interactions.by_day", OF_TEAMS + " GROUP BY"),
        ("interactions.rows", OF_AGENTS + OF_TEAMS + ")"),
        ("agent_activity.by_day", OF_AGENTS + OF_TEAMS + ") GROUP BY"),
    ],
)
def test_a_token_of_some_teams_is_shown_their_rows_alone(name: str, condition: str) -> None:
    query = queries(CATALOG)[name]
    assert f" AND {condition}" in query.sql(clear=True, teams=True)
    assert "teams:" not in shown(query)


def test_a_table_without_a_way_to_a_team_says_so() -> None:
    assert {name.partition(".")[0] for name, query in queries(CATALOG).items() if query.of_teams is None} == {
        "accounts",
        "queue_minutes",
        "queue_stats",
        "queues",
        "surveys",
    }
