"""Contracts begun from a live schema: exact in types, guessing in privacy, and never running what a name
says."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import privacy as p
from schemas import types as t
from schemas.catalog import load
from schemas.importer import Imported, Plan, guessed_privacy, import_tables
from schemas.render.python import contract_file, file_names, identifier
from schemas.table import ClickHouse, Metadata, Month, Scd2, Table

PLAN = Plan(Metadata("crm"))


def column(
    table: str,
    name: str,
    declaration: str,
    *,
    nullable: bool = False,
    numbers: tuple[int, ...] = (0, 0, 0, 0),
) -> tuple[Any, ...]:
    kind = declaration.partition("(")[0].partition(" ")[0]
    return (table, name, kind, declaration, nullable, *numbers)


def imported(*columns: tuple[Any, ...], key: tuple[str, ...] = ("id",), plan: Plan = PLAN) -> Imported:
    table = columns[0][0]
    (found,) = import_tables(columns, [(table, "PRIMARY", name, False) for name in key], plan)
    return found


def text(found: Imported) -> str:
    assert found.contract is not None, found.reasons
    return contract_file(found.contract, found.guessed, found.unsupported)


def loaded(found: Imported, folder: Path) -> Table:
    (folder / "one.py").write_text(text(found))
    (table,) = load(str(folder))
    return table


@pytest.mark.parametrize(
    ("declaration", "numbers", "kind"),
    [
        ("tinyint(1)", (3, 0, 0, 0), t.Bool()),
        ("tinyint", (3, 0, 0, 0), t.Int(8)),
        ("mediumint unsigned", (7, 0, 0, 0), t.UInt(24)),
        ("bigint unsigned", (20, 0, 0, 0), t.UInt(64)),
        ("decimal(65,30)", (65, 30, 0, 0), t.Decimal(65, 30)),
        ("float", (12, 0, 0, 0), t.Float(32)),
        ("double", (22, 0, 0, 0), t.Float(64)),
        ("datetime(6)", (0, 0, 6, 0), t.DateTime(6)),
        ("timestamp", (0, 0, 0, 0), t.Timestamp(0)),
        ("time(3)", (0, 0, 3, 0), t.Time(3)),
        ("year", (0, 0, 0, 0), t.Year()),
        ("bit(64)", (64, 0, 0, 0), t.Bit(64)),
        ("binary(16)", (0, 0, 0, 16), t.Binary(16)),
        ("longblob", (0, 0, 0, 4294967295), t.Binary()),
        ("enum('a','b')", (0, 0, 0, 4), t.Enum()),
        ("set('a','b')", (0, 0, 0, 12), t.Set()),
        ("json", (0, 0, 0, 0), t.Json()),
        ("mediumtext", (0, 0, 0, 16777215), t.Text()),
    ],
)
def test_a_type_is_exact(declaration: str, numbers: tuple[int, ...], kind: t.Type, tmp_path: Path) -> None:
    found = imported(column("a", "id", "int"), column("a", "x", declaration, nullable=True, numbers=numbers))
    table = loaded(found, tmp_path)
    assert table.column("x").type == kind
    assert table.column("x").nullable


def test_a_composite_key_keeps_its_order_and_is_immutable(tmp_path: Path) -> None:
    columns = [column("lines", "at", "date"), column("lines", "no", "int"), column("lines", "qty", "int")]
    table = loaded(imported(*columns, key=("no", "at")), tmp_path)
    assert table.key == ("no", "at")
    assert [item.immutable for item in table.columns] == [True, True, False]


def test_a_date_is_nullable_for_its_zeros_unless_it_is_in_the_key_or_the_contract_says_otherwise(
    tmp_path: Path,
) -> None:
    columns = [column("a", "day", "date"), column("a", "born", "date"), column("a", "seen", "datetime")]
    table = loaded(imported(*columns, key=("day",)), tmp_path)
    assert [item.nullable for item in table.columns] == [False, True, True]
    day, born, seen = table.columns
    decided = replace(table, columns=(day, replace(born, nullable=False, zero="1900-01-01"), seen))
    (again,) = import_tables(columns, [("a", "PRIMARY", "day", False)], replace(PLAN, existing=(decided,)))
    assert loaded(again, tmp_path) == decided


def test_a_unique_key_without_nulls_serves_where_there_is_no_primary_key(tmp_path: Path) -> None:
    columns = [column("a", "code", "char(3)"), column("a", "n", "int", nullable=True)]
    keys = [("a", "by_n", "n", True), ("a", "by_code", "code", False)]
    (found,) = import_tables(columns, keys, PLAN)
    assert loaded(found, tmp_path).key == ("code",)


def test_a_table_without_a_key_is_refused_with_the_way_out(tmp_path: Path) -> None:
    columns = [
        column("a", "x", "int", nullable=True),
        column("a", "y", "decimal(9,2)", nullable=True, numbers=(9, 2, 0, 0)),
    ]
    (refused,) = import_tables(columns, [], PLAN)
    assert refused.contract is None
    assert "--keyless all-columns" in refused.reasons[0]
    (found,) = import_tables(columns, [], Plan(PLAN.source, keyless=True))
    assert loaded(found, tmp_path).keyed_by_all_columns


def test_an_unsupported_type_is_left_out_and_reported(tmp_path: Path) -> None:
    found = imported(column("a", "id", "int"), column("a", "place", "point", nullable=True))
    assert found.unsupported == ("place (point)",)
    assert "left out" in text(found)
    assert loaded(found, tmp_path).names == ("id",)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ([column("a", "id", "int"), column("a", "_offset", "int")], "a name that landing reserves"),
        (
            [column("a", "id", "int"), column("a", "x y", "int"), column("a", "x_y", "int")],
            "one field in Avro",
        ),
        ([column("a", "id", "double")], "is a float"),
        ([column("a", "id", "bit(9)", numbers=(9, 0, 0, 0))], "is BIT"),
        ([column("表" * 45, "id", "int")], "takes 405 characters in ClickHouse's file names"),
        ([column("a", "id", "point")], "a type that contracts do not support"),
    ],
)
def test_what_cannot_have_a_contract_says_why(columns: list[tuple[Any, ...]], reason: str) -> None:
    assert any(reason in item for item in imported(*columns).reasons)


@pytest.mark.parametrize(
    ("declaration", "octets", "reason"),
    [
        ("float", 0, "is a float"),
        ("double", 0, "is a float"),
        ("json", 0, "is JSON"),
        ("mediumtext", 16_777_215, "more than 64 KB"),
        ("longblob", 4_294_967_295, "more than 64 KB"),
    ],
)
def test_a_keyless_table_whose_rows_would_have_several_keys_is_refused(
    declaration: str, octets: int, reason: str
) -> None:
    columns = [column("a", "id", "int"), column("a", "odd", declaration, numbers=(0, 0, 0, octets))]
    (found,) = import_tables(columns, [], replace(PLAN, keyless=True))
    assert len(found.reasons) == 1
    assert "column 'odd'" in found.reasons[0]
    assert reason in found.reasons[0]
    assert "add a primary key" in found.reasons[0]


def test_a_keyless_table_of_short_texts_has_a_contract() -> None:
    (found,) = import_tables(
        [column("a", "x", "text", numbers=(0, 0, 0, 65_535))], [], replace(PLAN, keyless=True)
    )
    assert found.contract is not None


def test_two_tables_that_would_share_a_topic_are_refused() -> None:
    columns = [column("a b", "id", "int"), column("a_b", "id", "int")]
    first, second = import_tables(
        columns, [("a b", "PRIMARY", "id", False), ("a_b", "PRIMARY", "id", False)], PLAN
    )
    assert first.contract
    assert "'a b'" in second.reasons[0]


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("customer_email", p.Pseudonym("email")),
        ("PhoneNumber", p.Pseudonym("phone")),
        ("first_name", p.REDACT),
        ("date_of_birth", p.Generalise("year")),
        ("remarks", p.FREE_TEXT),
        ("password_hash", p.REDACT),
        ("gibberish", p.UNCLASSIFIED),
    ],
)
def test_a_name_decides_the_privacy_class(name: str, guess: p.Privacy) -> None:
    assert guessed_privacy(name, t.Text()) == guess


def test_every_guess_is_marked_for_review() -> None:
    found = imported(column("a", "id", "int"), column("a", "email", "varchar(10)"), column("a", "n", "int"))
    assert text(found).count("# review") == len(found.guessed) == 3


NAMES = st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF), min_size=1, max_size=64).filter(
    lambda name: name.strip() == name and "\n" not in name and "\r" not in name
)


@given(NAMES, NAMES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_table_or_column_of_any_name_is_described_as_it_is(tmp_path: Path, table: str, name: str) -> None:
    found = imported(column(table, name, "int"), key=(name,))
    if not found.reasons:
        described = loaded(found, tmp_path)
        assert (described.name, described.names) == (table, (name,))


@pytest.mark.parametrize(
    "name", ['"); import os; os.abort(); ("', "'''", '\\"', "{0}", "%s", "a#b", '"""', "a\\", "\x00\x1b"]
)
def test_a_hostile_name_runs_nothing(name: str, tmp_path: Path) -> None:
    table = loaded(imported(column(name, name, "int"), key=(name,)), tmp_path)
    assert (table.name, table.names) == (name, (name,))


def test_an_import_over_existing_contracts_keeps_ids_classes_and_storage(tmp_path: Path) -> None:
    first = loaded(
        imported(column("a", "id", "int"), column("a", "x", "int"), column("a", "at", "date")), tmp_path
    )
    at = replace(first.column("at"), immutable=True)
    decided = replace(first.column("x"), privacy=p.Pseudonym("x"))
    storage = ClickHouse(order_by=("at",), partition_by=Month("at"), keep_days=9)
    kept = replace(
        first, history=Scd2(), tenant="id", clickhouse=storage, columns=(first.column("id"), decided, at)
    )
    plan = Plan(PLAN.source, existing=(kept,))
    found = imported(
        column("a", "new", "int"),
        column("a", "id", "bigint"),
        column("a", "x", "int"),
        column("a", "at", "date"),
        plan=plan,
    )
    table = loaded(found, tmp_path)
    assert {item.name: item.id for item in table.columns} == {"new": 4, "id": 1, "x": 2, "at": 3}
    assert found.guessed == ("new",)
    assert (table.column("x").privacy, table.column("id").type) == (p.Pseudonym("x"), t.Int(64))
    assert (table.history, table.tenant, table.clickhouse) == (Scd2(), "id", storage)


def test_files_have_names_that_python_and_every_disk_take() -> None:
    assert identifier("class") == "table_class"
    assert identifier("2fast") == "table_2fast"
    assert identifier("日本") == "table"
    assert set(file_names(["a b", "a-b", "../x", "日本"]).values()) == {
        "a_b.py",
        "a_b_2.py",
        "x.py",
        "table.py",
    }


def test_what_is_written_is_formatted(tmp_path: Path) -> None:
    found = imported(
        column("orders", "id", "int"), column("orders", "e mail", "varchar(9)", nullable=True), key=("id",)
    )
    (tmp_path / "orders.py").write_text(text(found))
    command = [sys.executable, "-m", "ruff", "format", "--check", "--line-length", "140", str(tmp_path)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
