"""What `switchboard verify` prints, and that one table's refusal ends no other's repair."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.errors import RefusedError
from core.settings import Context, Settings
from tests.nowhere import ENDPOINTS
from tests.unit.verify.test_compare import TABLE
from verify import cli, engine
from verify.compare import key_differences
from verify.results import StoredRow, TableResult

DIFFERENCES = tuple(
    key_differences(TABLE, [(b"7", b"Ann", b"0")], [StoredRow((b"7", b"Bob B", b"1"), 4)])
) + tuple(key_differences(TABLE, [(b"8", None, None)], []))
EQUAL = TableResult("t", "acc_1", "equal", 5, 5, 1, uncompared_columns=("extra", "more"))
DIFFERENT = TableResult("t", "acc_2", "different", 6, 5, 1, DIFFERENCES, ((10, 20),), "1 differ")
OTHER = TableResult("t", "acc_3", "different", 1, 0, 1, reason="1 missing in ClickHouse")

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, with what the comparison is to answer."""
    known = SimpleNamespace(captured=Known())
    monkeypatch.setattr(cli, "load", lambda _: known)
    monkeypatch.setattr(cli, "open_control", lambda _: None)
    monkeypatch.setattr(cli, "record", lambda *_: None)
    context = Context(Settings(), lambda: ENDPOINTS)

    def run(results: list[TableResult], *arguments: str) -> Result:
        monkeypatch.setattr(engine, "verify", lambda *_, **__: iter(results))
        return CliRunner().invoke(cli.app, arguments, obj=context)

    return run


class Known(dict[str, Any]):
    def __missing__(self, _: str) -> Any:
        return TABLE

    def select(self, _: object) -> tuple[Any, ...]:
        return (TABLE,)


def test_json_is_one_document_with_each_shard(run: Run) -> None:
    done = run([EQUAL, DIFFERENT], "--json", "--show", "1")
    document = json.loads(done.stdout)
    equal, different = document["shards"]
    assert (done.exit_code, document["answer"]) == (1, "different")
    assert (equal["shard"], equal["answer"], equal["columns_left_out"], equal["differences"]) == (
        "acc_1",
        "equal",
        ["extra", "more"],
        [],
    )
    assert different == {
        "table": "t",
        "shard": "acc_2",
        "answer": "different",
        "reason": "1 differ",
        "rows_source": 6,
        "rows_clickhouse": 5,
        "chunks": 1,
        "columns_left_out": [],
        "differing_rows": 2,
        "ranges_not_narrowed": [{"from": 10, "below": 20}],
        "differences": [
            {
                "kind": "differs",
                "key": {"id": "7"},
                "columns": [
                    {"name": "name", "mysql": "<3 chars>", "clickhouse": "<5 chars>"},
                    {"name": "day", "mysql": "1970-01-01", "clickhouse": "1970-01-02"},
                ],
            }
        ],
    }


@pytest.mark.parametrize(("results", "status"), [([EQUAL], 0), ([EQUAL, EQUAL.inconclusive("moving")], 2)])
def test_the_exit_status_shows_the_answer(run: Run, results: list[TableResult], status: int) -> None:
    assert run(results, "--json").exit_code == status


def test_columns_that_the_contract_lacks_are_named(run: Run) -> None:
    assert "t acc_1: not compared, as the contract lacks them: extra, more" in run([EQUAL]).stdout


def test_a_refused_repair_is_reported_and_the_next_one_continues(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def repair_until_equal(
        _: object,
        __: object,
        ___: object,
        ____: object,
        result: TableResult,
        *_____: object,
        **______: object,
    ) -> TableResult:
        if result.shard == "acc_2":
            raise RefusedError("the connector is quarantined", "release it first")
        return TableResult("t", result.shard, "equal", 1, 1, 1)

    monkeypatch.setattr(cli, "repair_until_equal", repair_until_equal)
    done = run([DIFFERENT, OTHER], "--repair", "--json")
    assert "t acc_2 was not repaired: the connector is quarantined; release it first" in done.stderr
    assert [(shard["shard"], shard["answer"]) for shard in json.loads(done.stdout)["shards"]] == [
        ("acc_2", "different"),
        ("acc_3", "equal"),
    ]
    assert done.exit_code == 1
