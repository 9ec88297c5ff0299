"""A job that ends at a savepoint goes on from it, and counts nothing twice and nothing not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.control.results import pointers
from core.errors import MisconfiguredError
from flink_jobs import jobs as known_jobs
from flink_jobs.jobs import Making, job_named, result_of
from flink_jobs.rest import Flink
from flink_jobs.submit import Submitter
from tests.pipeline import Pipeline, eventually
from tests.stack.conftest import Whole
from tests.stack.flink_jobs import reference
from tests.stack.flink_jobs.centre import Centre
from tests.stack.flink_jobs.results import becomes, minutes

JOB = job_named("queue_minutes")


def name(pipeline: Pipeline) -> str:
    """In Flink: of the generation in force."""
    return Making(JOB, result_of(JOB, pipeline.catalog.at(pointers(pipeline.control)))).name


@pytest.fixture
def submitter(whole: Whole, pipeline: Pipeline) -> Submitter:
    return Submitter(whole.endpoints, pipeline.catalog.at(pointers(pipeline.control)), whole.client, pipeline.control)


def running_id(pipeline: Pipeline, flink: Flink) -> str:
    running = flink.running(name(pipeline))
    assert running is not None
    return running.id


def restored_times(flink: Flink, job: str) -> int:
    return int(flink.checkpoints(job)["counts"]["restored"])


def with_sql(monkeypatch: pytest.MonkeyPatch, folder: Path, old: str, new: str) -> None:
    """The job's SQL as somebody has edited it."""
    shutil.copytree(known_jobs.SQL, folder, dirs_exist_ok=True)
    file = folder / f"{JOB.name}.sql"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    monkeypatch.setattr(known_jobs, "SQL", folder)


def test_the_state_of_a_job_fits_whether_it_was_submitted_alone_or_with_others(jobs: Flink, submitter: Submitter) -> None:
    assert jobs
    assert submitter.misfits(job_named("agent_sessions")) == []


def test_what_changes_while_it_is_stopped_is_counted_once_it_is_restored(
    pipeline: Pipeline, jobs: Flink, centre: Centre, submitter: Submitter
) -> None:
    centre.work(60)
    becomes(minutes, centre, reference.minutes(centre.world()))
    savepoint = jobs.savepoint(running_id(pipeline, jobs), stop=True)
    centre.work(60)
    restored = submitter.restore(JOB, savepoint)
    becomes(minutes, centre, reference.minutes(centre.world()))
    assert restored_times(jobs, restored) == 1
    with pytest.raises(MisconfiguredError, match="runs already"):
        submitter.restore(JOB, savepoint)


def test_a_place_without_a_savepoint_is_refused_and_a_submission_goes_on_from_the_newest_checkpoint(
    pipeline: Pipeline, jobs: Flink, centre: Centre, submitter: Submitter
) -> None:
    centre.work(30)
    becomes(minutes, centre, reference.minutes(centre.world()))
    jobs.ask_checkpoint(running_id(pipeline, jobs))
    eventually(lambda: jobs.newest_state(running_id(pipeline, jobs)))
    jobs.cancel(running_id(pipeline, jobs))
    with pytest.raises(MisconfiguredError, match="/nowhere is no savepoint"):
        submitter.restore(JOB, "file:///nowhere")
    assert jobs.running(name(pipeline)) is None
    centre.work(30)
    submitter.submit([JOB])
    assert restored_times(jobs, running_id(pipeline, jobs)) == 1
    becomes(minutes, centre, reference.minutes(centre.world()))


def test_changed_sql_says_whether_the_state_still_fits(
    pipeline: Pipeline, jobs: Flink, submitter: Submitter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_sql(monkeypatch, tmp_path / "fits", "INTERVAL '5' SECOND", "INTERVAL '6' SECOND")
    assert submitter.misfits(JOB) == []
    with_sql(monkeypatch, tmp_path / "misfits", "MAX(committed_ms) AS", "MIN(committed_ms) AS")
    (line,) = submitter.misfits(JOB)
    assert line.endswith("group-aggregate keeps another state")
    savepoint = jobs.savepoint(running_id(pipeline, jobs), stop=True)
    for start in (lambda: submitter.restore(JOB, savepoint), lambda: submitter.submit([JOB])):
        with pytest.raises(MisconfiguredError, match=f"does not fit: {line}"):
            start()
    assert jobs.running(name(pipeline)) is None
    monkeypatch.undo()
    submitter.restore(JOB, savepoint)
