"""`switchboard connectors` and `apply` with a connector of this test's own: what each command does and
reports as lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from connectors.auto_remediation import BinlogRetentionMonitor
from connectors.binlog import end
from connectors.capture_service import CaptureService
from core.control.models import ApplyRun
from core.control.table_health import NEEDS_SNAPSHOT, NEEDS_VERIFICATION, TableCondition, conditions
from core.settings import Endpoints, Settings
from schemas.catalog import load
from schemas.render.connect import connector_name
from tests.pipeline import Pipeline, eventually
from tests.stack.connectors.source import DDL, Source, create_test_source

NAME = "cv"
CONNECTOR = connector_name(NAME)
CONTRACT = """
from schemas import privacy as p
from schemas import types as t
from schemas.table import Metadata, Latest, Table, immutable, optional

columns = (immutable(1, "id", t.Int(64), p.PUBLIC), optional(2, "note", t.Text(), p.PUBLIC))
{0} = Table(name="{0}", source=Metadata("cv_one"), key=("id",), history=Latest(), columns=columns)
"""
STAYS, GOES = "cv_stays", "cv_goes"


@dataclass(frozen=True)
class Operator:
    """Who manages the source by the command line, over contracts that are files."""

    source: Source
    pipeline: Pipeline
    stack: Endpoints

    def run(self, *words: str, status: int = 0) -> str:
        done = self.pipeline.command(*words)
        assert done.returncode == status, done.stdout
        return str(done.stdout)

    def connectors(self, *words: str, status: int = 0) -> str:
        return self.run("connectors", *words, status=status)

    def declare(self, *tables: str) -> None:
        for name in (STAYS, GOES):
            (self.pipeline.contracts / f"{name}.py").unlink(missing_ok=True)
        for name in tables:
            (self.pipeline.contracts / f"{name}.py").write_text(CONTRACT.format(name))

    def loaded(self) -> None:
        self.source.loaded(*load(str(self.pipeline.contracts)))

    def conditions(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for state in conditions(self.source.control):
            found.setdefault(state.table, set()).add(state.state)
        return found

    def runs(self) -> bool:
        states = self.source.connect.states(CONNECTOR)
        return len(states) > 1 and all(state["state"] == "RUNNING" for state in states)


@pytest.fixture(scope="module")
def operator(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with create_test_source(stack, NAME) as source:
        source.sql("mysql", "CREATE DATABASE cv_one")
        source.sql("cv_one", DDL.format(STAYS), DDL.format(GOES))
        for table in (STAYS, GOES):
            source.fill("cv_one", table, 1, 3)
        home, contracts = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("contracts")
        (home / "logs").mkdir()
        settings = Settings(home=home, contracts=str(contracts), control_database=f"{NAME}_control")
        pipeline = _Elsewhere(
            home, source.endpoints, settings, load("tests/contracts"), source.control, contracts
        )
        ours = Operator(source, pipeline, stack)
        ours.declare(STAYS, GOES)
        ours.run("apply")
        ours.loaded()
        yield ours
        for table in (STAYS, GOES):
            pipeline.clickhouse.command(f"DROP VIEW IF EXISTS base.{table}")
            pipeline.clickhouse.command(f"DROP TABLE IF EXISTS landed.{table}")


class _Elsewhere(Pipeline):
    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "SWITCHBOARD_CONTROL_DATABASE": f"{NAME}_control"}


def test_a_connector_is_listed_paused_and_resumed(operator: Operator) -> None:
    assert CONNECTOR in operator.connectors("list")
    assert "connector RUNNING" in operator.connectors("status", CONNECTOR)
    assert "pause accepted" in operator.connectors("pause", CONNECTOR)
    eventually(lambda: "task 0 PAUSED" in operator.connectors("status", CONNECTOR))
    operator.connectors("resume", CONNECTOR)
    eventually(operator.runs)
    operator.connectors("restart", CONNECTOR)
    eventually(operator.runs)
    assert "there is no connector 'nobody'" in operator.connectors("status", "nobody", status=1)


def test_a_table_is_dropped_only_by_name_and_is_marked_when_it_is_captured_again(operator: Operator) -> None:
    operator.declare(STAYS)
    refused = operator.run("apply", status=1)
    assert f"--allow connect:{NAME}/{GOES}" in refused
    assert "cv_one.cv_goes" in operator.run("plan")
    operator.run("apply", "--allow", f"connect:{NAME}/{GOES}")
    operator.source.sql(
        "cv_one", f"DELETE FROM {GOES} WHERE id = 1", f"UPDATE {GOES} SET note = 'missed' WHERE id = 2"
    )
    operator.declare(STAYS, GOES)
    assert "cv_one.cv_goes is re-snapshotted" in operator.run("plan")
    operator.run("apply")
    operator.loaded()
    assert operator.conditions() == {GOES: {NEEDS_VERIFICATION}}
    notes = [
        record.value["after"]["note"]
        for record in operator.source.records(f"cdc.{GOES}")
        if record.key["id"] == 2 and record.value
    ]
    assert notes == ["note 2", "missed"]


def test_apply_runs_are_recorded(operator: Operator) -> None:
    with operator.source.control.session() as session:
        runs = session.scalars(select(ApplyRun).order_by(ApplyRun.id)).all()
    assert [run.status for run in runs] == ["COMPLETED", "FAILED", "COMPLETED", "COMPLETED"]
    assert all(run.ended_at for run in runs)
    assert "would lose data" in (runs[1].error or "")
    assert runs[2].allowed == [f"connect:{NAME}/{GOES}"]
    assert f"connect:{NAME}/{GOES} drop" in runs[2].steps


def purge(operator: Operator) -> None:
    """All of the binlog but its newest file goes; the run's own connector has read it."""
    source, main = operator.source, operator.stack.mysql[0]
    if connector_name(main.name) in source.connect.names():
        CaptureService(operator.stack, load("tests/contracts"), source.control).wait_until_caught_up(main)
    source.sql("mysql", "FLUSH BINARY LOGS")
    source.sql("mysql", f"PURGE BINARY LOGS TO '{end(main).file}'")


def watched(operator: Operator) -> list[TableCondition]:
    """The conditions after the first poll of a new supervisor."""
    source = operator.source
    BinlogRetentionMonitor(
        source.endpoints, load(str(operator.pipeline.contracts)), source.control, source.connect, min_hours=24
    ).poll()
    return conditions(source.control)


def test_a_position_that_is_purged_or_reset_marks_every_table(operator: Operator) -> None:
    operator.connectors("stop", CONNECTOR)
    eventually(lambda: "connector STOPPED" in operator.connectors("status", CONNECTOR))
    assert '"gtids"' in operator.connectors("offsets", "show", CONNECTOR)
    operator.source.sql("cv_one", f"DELETE FROM {STAYS} WHERE id = 3")
    before = watched(operator)
    assert STAYS not in operator.conditions()
    purge(operator)
    found = watched(operator)
    assert found != before
    assert operator.conditions() == {
        STAYS: {NEEDS_SNAPSHOT, NEEDS_VERIFICATION},
        GOES: {NEEDS_SNAPSHOT, NEEDS_VERIFICATION},
    }
    assert all("purged beyond" in state.reason for state in found)
    assert watched(operator) == found, "marked at every poll, a table could never be verified"
    assert "add --yes" in operator.connectors("offsets", "reset", CONNECTOR, status=1)
    assert "need a snapshot" in operator.connectors("offsets", "reset", CONNECTOR, "--yes")
    assert operator.connectors("offsets", "show", CONNECTOR).strip() == "[]"
    assert all("were reset" in state.reason for state in conditions(operator.source.control))
    operator.connectors("resume", CONNECTOR)
    eventually(operator.runs)
    operator.run("apply")
    operator.loaded()
    assert operator.conditions() == {STAYS: {NEEDS_VERIFICATION}, GOES: {NEEDS_VERIFICATION}}


def test_a_connector_is_deleted_only_when_confirmed_and_continues_once_it_is_created_again(
    operator: Operator,
) -> None:
    assert "add --yes" in operator.connectors("delete", CONNECTOR, status=1)
    operator.connectors("delete", CONNECTOR, "--yes")
    assert CONNECTOR not in operator.connectors("list")
    assert "there is no connector" in operator.connectors("delete", CONNECTOR, "--yes", status=1)
    operator.source.fill("cv_one", STAYS, 50, 1)
    operator.run("apply")
    eventually(lambda: any(record.key["id"] == 50 for record in operator.source.records(f"cdc.{STAYS}")))
