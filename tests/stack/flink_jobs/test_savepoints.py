"""A job that ends at a savepoint goes on from it, and counts nothing twice and nothing not at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from consumers.generations import bind
from core.clients.topic_identity import TopicIdentity
from core.control.models import JobPlan
from core.control.result_versions import active_versions
from core.errors import MisconfiguredError
from core.settings import SAMPLE_JOBS
from flink_jobs.job_list import load_jobs
from flink_jobs.jobs import Job, JobRun, result_table
from flink_jobs.rest import ENDED, Flink
from flink_jobs.submit import Submitter, outdated
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually
from tests.stack.conftest import Whole
from tests.stack.flink_jobs import reference
from tests.stack.flink_jobs.centre import Centre
from tests.stack.flink_jobs.results import becomes, minutes

JOBS = load_jobs(SAMPLE_JOBS)
JOB = JOBS["queue_minutes"]


def name(pipeline: Pipeline) -> str:
    """In Flink: of the generation in force."""
    return JobRun(
        JOB, result_table(JOB, pipeline.catalog.with_generations(active_versions(pipeline.control)))
    ).name


@pytest.fixture
def submitter(whole: Whole, pipeline: Pipeline) -> Submitter:
    return Submitter(
        whole.endpoints,
        pipeline.catalog.with_generations(active_versions(pipeline.control)),
        whole.client,
        pipeline.control,
    )


def running_id(pipeline: Pipeline, flink: Flink) -> str:
    running = flink.running(name(pipeline))
    assert running is not None
    return running.id


def restored_times(flink: Flink, job: str) -> int:
    return int(flink.checkpoints(job)["counts"]["restored"])


def with_sql(folder: Path, old: str, new: str) -> Job:
    """The job with its SQL as somebody has edited it."""
    shutil.copytree(JOB.folder, folder)
    file = folder / f"{JOB.name}.sql"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return replace(JOB, folder=folder)


def test_the_state_of_a_job_fits_whether_it_was_submitted_alone_or_with_others(
    jobs: Flink, submitter: Submitter
) -> None:
    assert jobs
    assert submitter.incompatibilities(JOBS["agent_sessions"]) == []


def flink(pipeline: Pipeline, *words: str) -> str:
    done = pipeline.command("flink", *words)
    assert done.returncode == 0, done.stdout
    return done.stdout


def line_of(text: str, job: str) -> str:
    return next(line for line in text.splitlines() if line.split()[:1] == [job])


def test_by_commands_a_job_is_shown_stopped_and_restored_and_what_changed_meanwhile_counts_once(
    pipeline: Pipeline, jobs: Flink, centre: Centre, submitter: Submitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = name(pipeline)
    centre.work(60)
    becomes(minutes, centre, reference.minutes(centre.world()))
    assert "RUNNING" in line_of(flink(pipeline, "list"), job)
    assert f"{job}: RUNNING, id {running_id(pipeline, jobs)}" in flink(pipeline, "status", job)
    assert "Source: interactions_log" in flink(pipeline, "metrics", job)
    assert "is compatible" in flink(pipeline, "check-compatibility", JOB.name)
    earlier = flink(pipeline, "savepoint", job).strip()
    centre.work(20)

    stopped = flink(pipeline, "stop", job).strip()
    assert "FINISHED" in line_of(flink(pipeline, "list"), job)
    assert f"job '{job}' does not run" in pipeline.command("flink", "stop", job).stdout
    # a restarted JobManager does not know jobs that have ended
    with monkeypatch.context() as forgetful:
        forgetful.setattr(Flink, "newest_state", lambda *_: None)
        assert submitter._checkpoint(job) == stopped
    centre.work(20)
    flink(pipeline, "submit", JOB.name)
    assert restored_times(jobs, running_id(pipeline, jobs)) == 1
    becomes(minutes, centre, reference.minutes(centre.world()))
    assert "already runs" in pipeline.command("flink", "restore", JOB.name, stopped).stdout

    flink(pipeline, "cancel", job)
    flink(pipeline, "restore", JOB.name, earlier)
    assert restored_times(jobs, running_id(pipeline, jobs)) == 1
    centre.work(20)
    becomes(minutes, centre, reference.minutes(centre.world()))


def test_a_submission_that_is_killed_leaves_no_job_that_nobody_knows_and_never_two(
    pipeline: Pipeline, jobs: Flink, centre: Centre
) -> None:
    def known() -> set[str]:
        with pipeline.control.session() as session:
            return set(session.scalars(select(JobPlan.job_id).where(JobPlan.name == name(pipeline))))

    flink(pipeline, "cancel", name(pipeline))
    before = known()
    command = [sys.executable, "-m", "switchboard", "flink", "submit", JOB.name]
    with subprocess.Popen(
        command, env=pipeline.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        eventually(lambda: known() - before)
        process.kill()
    flink(pipeline, "submit", JOB.name)
    existing = [job for job in jobs.jobs() if job.name == name(pipeline) and job.state not in ENDED]
    assert [job.state for job in existing] == ["RUNNING"]
    assert existing[0].id in known()
    centre.work(20)
    becomes(minutes, centre, reference.minutes(centre.world()))


def test_a_job_reports_which_of_its_topics_were_recreated_since_it_was_submitted(
    pipeline: Pipeline, space: Space
) -> None:
    topic, job = f"cdc.{space.name('anew')}", uuid.uuid4().hex
    with pipeline.control.session() as session:
        session.add(
            JobPlan(
                job_id=job, name=space.name("job"), operators={}, topics={topic: 1, "cdc.interactions": 1}
            )
        )
    assert outdated(pipeline.control, job) == []
    bind(pipeline.control, topic, TopicIdentity("cluster", "first", 4))
    bind(pipeline.control, topic, TopicIdentity("cluster", "second", 4))
    assert outdated(pipeline.control, job) == [topic]


def test_a_path_without_a_savepoint_is_refused_and_a_submission_goes_on_from_the_newest_checkpoint(
    pipeline: Pipeline, jobs: Flink, centre: Centre, submitter: Submitter
) -> None:
    centre.work(30)
    becomes(minutes, centre, reference.minutes(centre.world()))
    jobs.trigger_checkpoint(running_id(pipeline, jobs))
    eventually(lambda: jobs.newest_state(running_id(pipeline, jobs)))
    jobs.cancel(running_id(pipeline, jobs))
    with pytest.raises(MisconfiguredError, match="/nowhere is not a savepoint"):
        submitter.restore(JOB, "file:///nowhere")
    assert jobs.running(name(pipeline)) is None
    centre.work(30)
    submitter.submit([JOB])
    assert restored_times(jobs, running_id(pipeline, jobs)) == 1
    becomes(minutes, centre, reference.minutes(centre.world()))


def test_changed_sql_says_whether_the_state_still_fits(
    pipeline: Pipeline, jobs: Flink, submitter: Submitter, tmp_path: Path
) -> None:
    fitting = with_sql(tmp_path / "fits", "short_abandon_seconds, 5", "short_abandon_seconds, 6")
    assert submitter.incompatibilities(fitting) == []
    misfit = with_sql(tmp_path / "misfits", "    MAX(committed_ms) AS", "    MIN(committed_ms) AS")
    (line,) = submitter.incompatibilities(misfit)
    assert line.endswith("group-aggregate keeps another state")
    savepoint = jobs.savepoint(running_id(pipeline, jobs), stop=True)
    for start in (lambda: submitter.restore(misfit, savepoint), lambda: submitter.submit([misfit])):
        with pytest.raises(MisconfiguredError, match=f"is incompatible: {line}"):
            start()
    assert jobs.running(name(pipeline)) is None
    submitter.restore(JOB, savepoint)
