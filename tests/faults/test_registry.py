"""The schema registry away, and back without its schemas."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from connectors.capture_service import CaptureService
from core.clients.kafka import admin
from schemas.render.connect import connector_name
from switchboard import stack as local_stack
from switchboard.stack import health, services, state
from switchboard.stack.progress import Progress
from tests.conftest import STATE
from tests.faults.changing import ID, Changing, M, N
from tests.faults.running import away
from tests.pipeline import Pipeline, eventually

AWAY, LATE, EMPTY = "r_away", "r_late", "r_empty"


@pytest.fixture(scope="module")
def changing(faulty: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Changing:
    changing = Changing(faulty, tmp_path_factory.mktemp("contracts"), (AWAY, LATE, EMPTY))
    with changing.pipeline.lander():
        for table in (AWAY, LATE, EMPTY):
            changing.has_landed(table)
    return changing


@contextmanager
def empty(pipeline: Pipeline) -> Iterator[None]:
    """Another registry in the place of the stack's: a real one, that has lost its topic."""
    tools = local_stack.setup(pipeline.home, Progress(), STATE / "artefacts")
    program = services.FACTORIES["registry"](pipeline.home, state.load(pipeline.home), tools)
    command = [word.replace("switchboard.registry", "lost.registry") for word in program.command]
    with away(pipeline, "registry"), (pipeline.home / "logs" / "lost.log").open("ab") as log:
        other = subprocess.Popen(
            command, cwd=program.directory, env={**os.environ, **program.environment}, stdout=log, stderr=log
        )
        try:
            eventually(lambda: health.answers("registry", pipeline.endpoints))
            yield
        finally:
            other.kill()
            other.wait()


def test_records_of_schemas_met_before_land_while_it_is_away(changing: Changing) -> None:
    table = changing.fresh(AWAY)
    with away(changing.pipeline, "registry"), changing.pipeline.lander(), changing.writing(table):
        changing.has_landed(table, "id > 110")
    with changing.pipeline.lander():
        assert changing.equal(table)


def test_a_schema_not_met_before_waits_for_it(changing: Changing) -> None:
    table = changing.fresh(LATE)
    pipeline = changing.pipeline
    changing.sql(f"ALTER TABLE {table} ADD COLUMN late INT")
    changing.sql(f"INSERT INTO {table} (id, late) VALUES (9001, 1)")
    CaptureService(pipeline.endpoints, pipeline.catalog, pipeline.control).wait_until_caught_up(
        pipeline.endpoints.mysql[0]
    )
    with ExitStack() as stack:
        with away(pipeline, "registry"):
            before = len(pipeline.lander_log('"assigned"'))
            stack.enter_context(pipeline.lander())
            eventually(lambda: len(pipeline.lander_log('"assigned"')) > before)
        changing.has_landed(table, "id = 9001")
    changing.declare(table, ID, M, N, 'optional(4, "late", t.Int(32), p.PUBLIC)')
    changing.pipeline.apply()
    with changing.pipeline.lander():
        assert changing.equal(table)


def test_a_registry_that_stays_empty_is_recovered_from_table_by_table(changing: Changing) -> None:
    table = changing.fresh(EMPTY)
    pipeline, topic = changing.pipeline, f"cdc.{table}"
    # else Connect, if it was started meanwhile, would ask the other registry for the schema that stands
    with pipeline.lander():
        changing.sql(f"INSERT INTO {table} VALUES (50, 1, 1)")
        changing.has_landed(table, "id = 50")
    with empty(pipeline), pipeline.lander(retry_seconds="3") as lander:
        with changing.writing(table):
            changing.has_landed(table, "id > 110")
            changing.sql(f"ALTER TABLE {table} ADD COLUMN extra INT")
            (line,) = eventually(lambda: pipeline.lander_log("table stopped", f'"{table}"'))
        assert "or has lost its storage" in line
        assert pipeline.command("connectors", "restart", connector_name("main")).returncode == 0
        client = admin(pipeline.endpoints.kafka)
        client.delete_topics([topic])[topic].result(30)
        changing.declare(table, ID, M, N, 'optional(4, "extra", t.Int(32), p.PUBLIC)')
        pipeline = changing.pipeline
        pipeline.apply()
        pipeline.heal()
        assert (
            CaptureService(pipeline.endpoints, pipeline.catalog, pipeline.control).wait_snapshots(limit=120)
            == []
        )
        repaired = pipeline.command("verify", table, "--repair")
        assert repaired.returncode == 0, repaired.stdout
        with changing.writing(table):
            pass
        assert changing.equal(table)
        assert changing.states(table) == []
        assert lander.poll() is None
    assert pipeline.command("connectors", "restart", connector_name("main")).returncode == 0
    pipeline.heal()
