"""The process's stack, empty at first: killing its servers hurts no test of the other process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.capture_service import CaptureService
from simulator.source import create_source
from switchboard import stack as local_stack
from tests.conftest import empty_stack
from tests.faults.changing import SHARD
from tests.faults.running import SHARDS
from tests.pipeline import Pipeline, make_pipeline


@pytest.fixture(scope="package")
def faulty(worker_home: Path) -> Iterator[Pipeline]:
    endpoints = local_stack.endpoints(empty_stack(worker_home))
    create_source(endpoints.mysql[0], SHARDS, "metadata")
    pipeline = make_pipeline(worker_home, endpoints)
    pipeline.apply()
    assert CaptureService(endpoints, pipeline.catalog, pipeline.control).wait_snapshots(limit=120) == []
    yield pipeline
    changing = [
        str(name)
        for (name,) in pipeline.sql(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", SHARD
        )
    ]
    # no test after these knows their contracts
    pipeline.apply(*(f"connect:main/{name}" for name in changing))
    pipeline.control.close()
    pipeline.clickhouse.close()
