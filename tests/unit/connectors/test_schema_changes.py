"""Which DDL changes rows that no event tells of.

The records are shaped as Debezium 3.6 writes its schema history.
"""

from __future__ import annotations

from typing import Any

import pytest

from connectors.schema_changes import changes
from core.control.table_health import NEEDS_SNAPSHOT, NEEDS_VERIFICATION

ID = {"name": "id", "typeName": "INT", "optional": False}
Item = dict[str, Any]


def column(name: str, kind: str = "INT", *, optional: bool = True, **more: Any) -> Item:
    return {"name": name, "typeName": kind, "optional": optional, **more}


def statement(ddl: str, kind: str, *columns: Item, table: str = "calls", previous: str | None = None) -> Item:
    item = {"type": kind, "id": f'"acc_1"."{table}"', "table": {"columns": [ID, *columns]}}
    if previous:
        item["previousId"] = f'"acc_1"."{previous}"'
    return {"databaseName": "acc_1", "ddl": ddl, "tableChanges": [item]}


def states(*records: Item) -> list[tuple[str, str | None]]:
    return [(change.table, change.state) for change in changes(iter(enumerate(records)), {})]


CREATED = statement(
    "CREATE TABLE calls ...",
    "CREATE",
    column("note", "VARCHAR", length=10),
    column("kind", "ENUM", enumValues=["'a'", "'b'"]),
)
NOTE, KIND = CREATED["tableChanges"][0]["table"]["columns"][1:]


def after(ddl: str, *columns: Item) -> str | None:
    return states(CREATED, statement(ddl, "ALTER", *columns))[-1][1]


def test_a_new_table_has_nothing_to_make_up_for() -> None:
    assert states(CREATED) == [("calls", None)]


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param((NOTE, KIND, column("more")), id="a nullable column without default"),
        pytest.param((NOTE,), id="a dropped column"),
        pytest.param(({**NOTE, "length": 20}, KIND), id="a longer text"),
        pytest.param((NOTE, {**KIND, "enumValues": ["'a'", "'b'", "'c'"]}), id="one more member of an enum"),
    ],
)
def test_ddl_that_leaves_the_rows_as_they_were(columns: tuple[Item, ...]) -> None:
    assert after("ALTER TABLE calls ...", *columns) is None


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param((NOTE, KIND, column("more", defaultValueExpression="5")), id="a column with a default"),
        pytest.param((NOTE, KIND, column("more", optional=False)), id="a column that is not null"),
        pytest.param((column("words", "VARCHAR", length=10), KIND), id="a renamed column"),
        pytest.param(({**NOTE, "length": 5}, KIND), id="a shorter text"),
        pytest.param(({**NOTE, "typeName": "INT"}, KIND), id="another type"),
        pytest.param(({**NOTE, "optional": False}, KIND), id="null no longer allowed"),
        pytest.param((NOTE, {**KIND, "enumValues": ["'b'", "'a'"]}), id="other members of an enum"),
    ],
)
def test_ddl_that_changes_rows_asks_for_a_backfill(columns: tuple[Item, ...]) -> None:
    assert after("ALTER TABLE calls ...", *columns) == NEEDS_SNAPSHOT


def test_a_wider_integer_changes_nothing_and_a_narrower_or_unsigned_one_may() -> None:
    def turned(old: str, new: str) -> str | None:
        return states(statement("C", "CREATE", column("n", old)), statement("A", "ALTER", column("n", new)))[
            -1
        ][1]

    assert turned("INT", "BIGINT") is None
    assert turned("INT UNSIGNED", "BIGINT UNSIGNED") is None
    assert turned("BIGINT", "INT") == turned("INT", "INT UNSIGNED") == NEEDS_SNAPSHOT


def test_a_generated_column_has_values_at_once() -> None:
    assert (
        after("ALTER TABLE calls ADD COLUMN g INT AS (id + 1) STORED", NOTE, KIND, column("g"))
        == NEEDS_SNAPSHOT
    )


def test_a_dropped_table_freezes_and_so_do_the_tables_of_a_dropped_database() -> None:
    assert states(CREATED, statement("DROP TABLE calls", "DROP"))[-1] == ("calls", NEEDS_VERIFICATION)
    gone = {"databaseName": "acc_1", "ddl": "DROP DATABASE acc_1", "tableChanges": []}
    assert states(CREATED, gone)[-1] == ("calls", NEEDS_VERIFICATION)


def test_the_history_s_own_beginning_drops_nothing() -> None:
    """Debezium writes DROP TABLE IF EXISTS before each table that it finds."""
    assert states(statement("DROP TABLE IF EXISTS calls", "DROP"), CREATED) == [("calls", None)]


def test_an_online_schema_change_by_rename_invalidates_both() -> None:
    created = statement("CREATE TABLE _calls_new LIKE calls", "CREATE", table="_calls_new")
    away = statement("RENAME TABLE calls TO _calls_old", "ALTER", table="_calls_old", previous="calls")
    here = statement("RENAME TABLE _calls_new TO calls", "ALTER", table="calls", previous="_calls_new")
    found = states(CREATED, created, away, here)
    assert ("calls", NEEDS_VERIFICATION) in found
    assert found[-1] == ("calls", NEEDS_SNAPSHOT)


def test_a_table_renamed_by_alter_brings_rows_without_events() -> None:
    assert states(CREATED, statement("ALTER TABLE other RENAME TO calls", "ALTER", NOTE, KIND))[-1] == (
        "calls",
        NEEDS_SNAPSHOT,
    )


def test_a_column_that_was_dropped_is_added_again_without_its_old_values() -> None:
    without, again = statement("A", "ALTER", KIND), statement("A", "ALTER", KIND, NOTE)
    assert states(CREATED, without, again)[-1] == ("calls", NEEDS_SNAPSHOT)
    fresh = statement("CREATE TABLE calls ...", "CREATE", KIND)
    assert states(CREATED, without, fresh, again)[-1] == ("calls", None)


@pytest.mark.parametrize(
    ("actions", "causes"),
    [
        ("TRUNCATE PARTITION p0", [NEEDS_VERIFICATION]),
        ("EXCHANGE PARTITION p0 WITH TABLE other", [NEEDS_SNAPSHOT, NEEDS_VERIFICATION]),
        ("MODIFY note INT AS (id * 100) STORED", [NEEDS_SNAPSHOT]),
        ("ADD INDEX by_note (note)", [None]),
        ("FROBNICATE note", [NEEDS_SNAPSHOT, NEEDS_VERIFICATION]),
    ],
)
def test_an_action_whose_effect_on_rows_the_columns_do_not_show(
    actions: str, causes: list[str | None]
) -> None:
    found = states(CREATED, statement(f"ALTER TABLE calls {actions}", "ALTER", NOTE, KIND))
    assert [state for _, state in found[1:]] == causes


def test_a_long_statement_is_judged_whole_and_shown_shortened() -> None:
    ddl = f"ALTER TABLE calls COMMENT '{'x' * 300}', TRUNCATE PARTITION p0"
    *_, change = changes(iter(enumerate([CREATED, statement(ddl, "ALTER", NOTE, KIND)])), {})
    assert change.state == NEEDS_VERIFICATION
    assert len(change.reason) < 300
