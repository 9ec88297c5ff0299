"""The jobs, and a contact centre of each test's own."""

from __future__ import annotations

import pytest

from flink_jobs.rest import Flink
from tests.conftest import Space
from tests.pipeline import Pipeline
from tests.stack.flink_jobs.centre import Centre


@pytest.fixture
def centre(jobs: Flink, pipeline: Pipeline, space: Space) -> Centre:
    assert jobs
    return Centre(pipeline, space)
