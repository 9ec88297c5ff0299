"""A streamer over the running jobs, and a contact centre of each test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flink_jobs.rest import Flink
from tests.browser import browser, page
from tests.conftest import Space
from tests.pipeline import Pipeline
from tests.stack.flink_jobs.centre import Centre
from tests.stack.streamer.server import Server, streaming
from tests.stack.streamer.working_day import WorkingDayCentre

__all__ = ["browser", "page"]


@pytest.fixture(scope="package")
def server(jobs: Flink, pipeline: Pipeline) -> Iterator[Server]:
    assert jobs
    with streaming(pipeline) as server:
        yield server


@pytest.fixture
def centre(server: Server, pipeline: Pipeline, space: Space) -> Centre:
    assert server
    return Centre(pipeline, space)


@pytest.fixture
def working_day(server: Server, pipeline: Pipeline, space: Space) -> WorkingDayCentre:
    assert server
    return WorkingDayCentre(pipeline, space)
