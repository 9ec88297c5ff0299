"""A stack of its own: killing a shared broker would ruin the neighbours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.target import ConnectTarget
from simulator.source import create_source
from switchboard import stack as local_stack
from tests.conftest import start
from tests.faults.running import SHARDS
from tests.pipeline import Pipeline, make_pipeline


@pytest.fixture(scope="package")
def faulty() -> Iterator[Pipeline]:
    home, endpoints = start("faults")
    create_source(endpoints.mysql[0], SHARDS, "metadata")
    made = make_pipeline(home, endpoints)
    made.apply()
    assert ConnectTarget(endpoints, made.catalog, made.control).wait_snapshots(limit=120) == []
    yield made
    made.control.close()
    made.clickhouse.close()
    local_stack.discard(home)
