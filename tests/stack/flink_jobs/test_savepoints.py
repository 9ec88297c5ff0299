"""A job that ends at a savepoint goes on from it, and counts nothing twice and nothing not at all."""

from __future__ import annotations

import pytest

from core.errors import MisconfiguredError
from flink_jobs.jobs import job_named
from flink_jobs.rest import Flink
from flink_jobs.submit import Submitter
from tests.pipeline import Pipeline
from tests.stack.conftest import Whole
from tests.stack.flink_jobs import reference
from tests.stack.flink_jobs.centre import Centre
from tests.stack.flink_jobs.test_results import becomes, centre, jobs, minutes

__all__ = ["centre", "jobs"]

JOB = job_named("queue_minutes")


def test_what_changes_while_it_is_stopped_is_counted_once_it_is_restored(
    whole: Whole, pipeline: Pipeline, jobs: Flink, centre: Centre
) -> None:
    submitter = Submitter(whole.endpoints, pipeline.catalog, whole.client)
    centre.work(60)
    becomes(minutes, centre, reference.minutes(centre.world()))
    running = jobs.running(JOB.name)
    assert running is not None
    savepoint = jobs.savepoint(running.id, stop=True)
    centre.work(60)
    restored = submitter.restore(JOB, savepoint)
    becomes(minutes, centre, reference.minutes(centre.world()))
    assert jobs.checkpoints(restored)["counts"]["restored"] == 1
    with pytest.raises(MisconfiguredError, match="runs already"):
        submitter.restore(JOB, savepoint)


def test_a_place_without_a_savepoint_is_refused_before_anything_is_submitted(whole: Whole, pipeline: Pipeline, jobs: Flink) -> None:
    running = jobs.running(JOB.name)
    assert running is not None
    jobs.cancel(running.id)
    submitter = Submitter(whole.endpoints, pipeline.catalog, whole.client)
    with pytest.raises(MisconfiguredError, match="/nowhere is no savepoint"):
        submitter.restore(JOB, "file:///nowhere")
    assert jobs.running(JOB.name) is None
    submitter.submit([JOB])
