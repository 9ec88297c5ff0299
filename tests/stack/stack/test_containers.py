"""The stack of docker-compose.yml answers as the local one does, and rows land on either. Skipped where no container engine is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.target import ConnectTarget
from core.settings import Endpoints
from switchboard.stack import health, parts
from switchboard.stack.cli import plain
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually, make_pipeline
from tests.stack.consumers.test_landing import HIGH, LOW, make_types


@pytest.mark.parametrize("part", parts.BASE + parts.EXTRA)
def test_every_service_answers(containers: Endpoints, part: str) -> None:
    eventually(lambda: health.answers(part, containers), within=180)


@pytest.fixture(params=["stack", "containers"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """A pipeline whose commands know of the servers what SWITCHBOARD_ENDPOINTS tells them, and nothing of a local stack."""
    endpoints: Endpoints = request.getfixturevalue(request.param)
    monkeypatch.setenv("SWITCHBOARD_ENDPOINTS", json.dumps(plain(endpoints)))
    (tmp_path / "logs").mkdir()
    made = make_pipeline(tmp_path, endpoints)
    yield made
    made.control.close()
    made.clickhouse.close()


def test_rows_from_before_and_after_land_and_are_equal(elsewhere: Pipeline, space: Space) -> None:
    shard = space.name("types")
    make_types(elsewhere, shard)
    elsewhere.sql(HIGH, 1, database=shard)
    assert elsewhere.command("apply").returncode == 0
    with elsewhere.lander(), elsewhere.watch():
        elsewhere.sql(LOW, 2, database=shard)
        assert ConnectTarget(elsewhere.endpoints, elsewhere.catalog, elsewhere.control).wait_snapshots(limit=120) == []
        assert elsewhere.equal("every_type", shards=(shard,))
