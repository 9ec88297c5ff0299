"""From what a server is found to be to every finding, each with its remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.facts import ColumnFacts, ServerFacts, TableFacts
from connectors.preflight import Finding, judge
from core.settings import APICURIO_CONVERTER
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog
from schemas.table import Latest, Shards, Table, immutable, optional

ALL = "GRANT SELECT, RELOAD, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `cdc`@`%`"
FIT = {
    "log_bin": "ON",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "gtid_mode": "ON",
    "binlog_row_value_options": "",
    "binlog_expire_logs_seconds": "604800",
}
ID = ColumnFacts("id", False, None, "int")
NOTE = ColumnFacts("note", True, None, "text", 65_535)
SOUND = TableFacts((ID, NOTE), (("id",),))
NAME = ("acc_1", "calls")


def contract(key: tuple[str, ...] = ("id",), *, keyless: bool = False) -> Table:
    columns = (
        immutable(1, "id", t.Int(), p.PUBLIC),
        optional(2, "note", t.Text(), p.PUBLIC),
        immutable(3, "day", t.Date(), p.PUBLIC),
    )
    chosen = tuple(column for column in columns if column.name in {"id", "note", *key})
    return Table(
        name="calls",
        source=Shards("acc_*"),
        key=key,
        history=Latest(),
        columns=chosen,
        keyed_by_all_columns=keyless,
    )


def server(table: TableFacts = SOUND, *grants: str, name: str = "main", **variables: str) -> ServerFacts:
    return ServerFacts(name, "cdc", FIT | variables, {"%": grants or (ALL,)}, ("acc_1", "crm"), {NAME: table})


def found(
    facts: ServerFacts, *more: ServerFacts, table: Table | None = None, converter: str = "ours"
) -> list[Finding]:
    return judge([facts, *more], Catalog((table or contract(),)), converter)


def only(findings: list[Finding], severity: str, what: str) -> None:
    (finding,) = findings
    assert finding.severity == severity
    assert what in finding.what
    assert finding.remedy


def test_a_fit_server_has_no_finding() -> None:
    assert found(server()) == []


@pytest.mark.parametrize(
    ("name", "value", "severity", "what"),
    [
        ("log_bin", "OFF", "fatal", "log_bin is OFF, not ON"),
        ("binlog_format", "MIXED", "fatal", "binlog_format is MIXED, not ROW"),
        ("binlog_row_image", "NOBLOB", "fatal", "binlog_row_image is NOBLOB, not FULL"),
        ("gtid_mode", "OFF_PERMISSIVE", "fatal", "gtid_mode is OFF_PERMISSIVE, not ON"),
        ("binlog_row_value_options", "PARTIAL_JSON", "fatal", "updates of JSON lose values"),
        ("binlog_expire_logs_seconds", "7200", "warning", "kept for 2 h only"),
    ],
)
def test_a_variable_that_loses_changes(name: str, value: str, severity: str, what: str) -> None:
    only(found(replace(server(), variables=FIT | {name: value})), severity, what)


def test_a_binlog_that_is_kept_for_ever_is_kept_for_long_enough() -> None:
    assert found(server(binlog_expire_logs_seconds="0")) == []


ELSEWHERE = "GRANT RELOAD, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `cdc`@`%`"


@pytest.mark.parametrize(
    ("grants", "lacking"),
    [
        (["GRANT USAGE ON *.* TO `cdc`@`%`"], "SELECT, RELOAD, REPLICATION SLAVE, REPLICATION CLIENT"),
        ([ELSEWHERE, "GRANT SELECT ON `crm`.* TO `cdc`@`%`"], "SELECT"),
        ([ELSEWHERE, "GRANT SELECT (`id`) ON `acc_1`.`calls` TO `cdc`@`%`"], "SELECT"),
        ([ELSEWHERE, "GRANT SELECT ON `acc_1`.`other` TO `cdc`@`%`"], "SELECT"),
        ([ELSEWHERE, r"GRANT SELECT ON `acc\_2`.* TO `cdc`@`%`"], "SELECT"),
        ([ALL, "REVOKE SELECT ON `acc_1`.* FROM `cdc`@`%`"], "SELECT"),
        ([ALL.replace("RELOAD, ", "")], "RELOAD"),
        (["GRANT SELECT, RELOAD, REPLICATION SLAVE ON *.* TO `cdc`@`%`"], "REPLICATION CLIENT"),
        (["GRANT `reader`@`%` TO `cdc`@`%`"], "SELECT, RELOAD, REPLICATION SLAVE, REPLICATION CLIENT"),
    ],
)
def test_a_grant_that_is_lacking(grants: list[str], lacking: str) -> None:
    findings = found(server(SOUND, *grants))
    only(findings, "fatal", f"lacks {lacking}")
    assert findings[0].remedy == f"GRANT {lacking} ON *.* TO 'cdc'@'%'"


@pytest.mark.parametrize(
    "grants",
    [
        ["GRANT ALL PRIVILEGES ON *.* TO `cdc`@`%` WITH GRANT OPTION"],
        [ALL, "GRANT BACKUP_ADMIN ON *.* TO `cdc`@`%`"],
        [ELSEWHERE, "GRANT SELECT ON `acc_1`.* TO `cdc`@`%`"],
        [ELSEWHERE, r"GRANT SELECT, INSERT ON `acc\_%`.* TO `cdc`@`%`"],
        [ELSEWHERE, "GRANT SELECT ON `acc_1`.`calls` TO `cdc`@`%`"],
        [ALL, "REVOKE SELECT ON `secret`.* FROM `cdc`@`%`"],
    ],
)
def test_grants_that_do(grants: list[str]) -> None:
    assert found(server(SOUND, *grants)) == []


def test_a_user_that_is_not_there_or_not_to_be_seen() -> None:
    only(found(replace(server(), grants={})), "fatal", "there is no user 'cdc'")
    only(found(replace(server(), grants=None)), "warning", "may not be seen")


def test_one_account_with_all_grants_is_enough_and_else_the_nearest_is_reported() -> None:
    usage = ("GRANT USAGE ON *.* TO `cdc`@`10.%`",)
    assert found(replace(server(), grants={"10.%": usage, "%": (ALL,)})) == []
    only(
        found(replace(server(), grants={"%": usage, "10.%": (ELSEWHERE,)})),
        "fatal",
        "user 'cdc'@'10.%' lacks SELECT",
    )


def test_the_contract_s_key_must_be_unique() -> None:
    only(found(server(replace(SOUND, unique=()))), "fatal", "nothing makes the contract's key (id) unique")
    other = found(server(replace(SOUND, unique=(("code", "day"),))))
    only(other, "fatal", "nothing makes the contract's key (id) unique")
    assert "(code, day)" in other[0].remedy
    assert found(server(replace(SOUND, unique=(("code",), ("id",))))) == []


def test_a_key_in_another_order_than_the_source_s_is_slow_to_read() -> None:
    table = contract(("id", "day"))
    only(
        found(server(replace(SOUND, unique=(("day", "id"),))), table=table),
        "warning",
        "sorts the whole table",
    )
    assert found(server(replace(SOUND, unique=(("id",),))), table=table) == []


def test_rows_distinguished_by_long_values() -> None:
    table = contract(("id", "note"), keyless=True)
    needs_repair = found(server(replace(SOUND, unique=())), table=table)
    only(needs_repair, "warning", "is keyed by all of its columns")
    assert needs_repair[0].remedy.startswith("it needs a nightly repair")
    long = replace(SOUND, columns=(ID, replace(NOTE, octets=16_777_215)), unique=())
    too_long = found(server(long), table=table)
    only([item for item in too_long if item not in needs_repair], "fatal", "more than 64 KB")


def test_columns_that_lose_values() -> None:
    columns = (ID, ColumnFacts("a b", True, "3", "int"), ColumnFacts("a?b", False, "3", "int"))
    facts = server(replace(SOUND, columns=columns))
    clash = "columns 'a b' and 'a?b' become one field"
    only(found(facts), "fatal", clash)
    both = found(facts, converter=APICURIO_CONVERTER)
    assert [finding.severity for finding in both] == ["fatal", "warning"]
    assert "a NULL arrives as its default '3'" in both[1].what


def test_zero_dates_and_tables_that_were_not_searched_for_them() -> None:
    days = (ID, ColumnFacts("day", False, None, "date"))
    table = TableFacts(days, (("id", "day"),), zero_dates=("day",))
    strict = contract(("id", "day"))
    only(
        found(server(table), table=strict),
        "warning",
        "column 'day' holds zero dates, whose rows become dead letters",
    )
    *others, day = strict.columns
    lenient = replace(strict, columns=(*others, replace(day, zero="1900-01-01")))
    assert found(server(table), table=lenient) == []
    only(
        found(server(replace(SOUND, searched=False))),
        "warning",
        "not all rows were searched for zero dates in 1 tables: acc_1.calls",
    )


def test_rows_that_mysql_changes_by_itself() -> None:
    only(found(server(replace(SOUND, cascading=("fk_1",)))), "warning", "foreign key 'fk_1' cascades")


def test_one_database_on_two_servers() -> None:
    only(
        found(server(), server(name="second")), "fatal", "database 'acc_1' exists on servers main and second"
    )


def test_all_findings_are_reported_at_once_the_fatal_first() -> None:
    findings = found(
        server(
            replace(SOUND, unique=(), cascading=("fk",)),
            ELSEWHERE,
            log_bin="OFF",
            binlog_expire_logs_seconds="60",
        )
    )
    assert [finding.severity for finding in findings] == ["fatal"] * 3 + ["warning"] * 2
