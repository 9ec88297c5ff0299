"""A job forgets contacts that nothing has changed for long, and never who the agents are: everyone is away
for a weekend."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator

import pytest

from core.settings import SAMPLE_JOBS
from flink_jobs.backfill import Backfills
from flink_jobs.job_list import load_jobs
from flink_jobs.jobs import Job
from schemas.catalog import load
from tests.pipeline import CONTRACTS, Pipeline, eventually
from tests.stack.conftest import Whole
from tests.stack.flink_jobs.centre import Centre

FORGETS_SECONDS = 3


@pytest.fixture
def forgetful(whole: Whole, pipeline: Pipeline) -> Iterator[Job]:
    """A second job for the result, in a generation of its own, that forgets soon."""
    job = dataclasses.replace(load_jobs(SAMPLE_JOBS)["agent_status"], state_days=FORGETS_SECONDS / 86_400)
    backfills = Backfills(
        whole.endpoints, pipeline.settings, load(str(CONTRACTS)), pipeline.control, whole.client
    )
    backfills.plan(job, None)
    try:
        backfills.run(job, lambda *_: None, limit=120)
        yield job
    finally:
        backfills.drop(job)


def test_an_agent_who_was_away_for_longer_than_the_state_lives_is_still_known(
    forgetful: Job, centre: Centre
) -> None:
    pipeline, agent, began = centre.pipeline, centre.agents[0], time.monotonic()
    ((table,),) = pipeline.landed(
        "SELECT name FROM system.tables WHERE database = 'landed' AND name LIKE 'agent_status__g%'"
    )

    def row() -> tuple[str, str, list[int]] | None:
        for state, name, queues in pipeline.landed(
            f"SELECT state, name, queues FROM landed.{table} FINAL WHERE agent_id = {agent}"
        ):
            return state, name, json.loads(queues)
        return None

    name, queues = f"Agent {agent} 🦊", sorted(centre.queues)
    eventually(lambda: row() == ("offline", name, queues))
    eventually(lambda: time.monotonic() > began + 2 * FORGETS_SECONDS)
    centre.activity(agent, "break")
    eventually(lambda: row() == ("break", name, queues))
