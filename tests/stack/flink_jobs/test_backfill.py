"""A result made anew beside the one in force, compared, swapped in, taken back and removed, while the live
job goes on."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.cimpl import NewTopic
from sqlalchemy import select

from consumers.consumer_lag import horizon
from core.clients.kafka import admin, producer
from core.control.models import BackfillStep
from core.control.result_versions import active_version, materialised_generations
from core.errors import MisconfiguredError
from core.settings import SAMPLE_JOBS
from flink_jobs.backfill import Backfills
from flink_jobs.job_list import load_jobs
from flink_jobs.rest import Flink
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually
from tests.stack.conftest import Whole
from tests.stack.flink_jobs import reference
from tests.stack.flink_jobs.centre import Centre, utc_now
from tests.stack.flink_jobs.results import becomes, minutes, sessions, structured


def backfill(pipeline: Pipeline, *words: str) -> str:
    done = pipeline.command("backfill", *words)
    assert done.returncode == 0, done.stdout
    return done.stdout


def refusal(pipeline: Pipeline, *words: str) -> str:
    done = pipeline.command("backfill", *words)
    assert done.returncode == 1
    return " ".join(done.stdout.split())


def reads(pipeline: Pipeline, view: str) -> str:
    ((query,),) = pipeline.landed(
        f"SELECT as_select FROM system.tables WHERE concat(database, '.', name) = '{view}'"
    )
    return str(query)


def test_the_whole_walk(jobs: Flink, centre: Centre) -> None:
    pipeline = centre.pipeline
    centre.work(60)
    becomes(minutes, centre, reference.minutes(centre.world()))
    live = jobs.running("queue_minutes")
    assert "generation 2" in backfill(pipeline, "plan", "queue_minutes")
    assert "no inactive generation" in refusal(pipeline, "diff", "queue_minutes")
    assert "no inactive generation" in refusal(pipeline, "swap", "queue_minutes")

    assert "has caught up" in backfill(pipeline, "run", "queue_minutes")
    assert "exists beside the active one" in refusal(pipeline, "plan", "queue_minutes")
    centre.work(20)
    becomes(minutes, centre, reference.minutes(centre.world()))
    eventually(lambda: pipeline.command("backfill", "diff", "queue_minutes", "--rest", "0").returncode == 0)
    assert f"{utc_now():%Y-%m-%d}" in backfill(pipeline, "diff", "queue_minutes", "--rest", "0")

    pipeline.clickhouse.command(
        "ALTER TABLE landed.queue_minutes__g2 UPDATE offered = offered + 1 WHERE true SETTINGS "
        "mutations_sync = 1"
    )
    differs = pipeline.command("backfill", "diff", "queue_minutes", "--rest", "0")
    assert differs.returncode == 1
    assert "different" in differs.stdout
    pipeline.clickhouse.command(
        "ALTER TABLE landed.queue_minutes__g2 UPDATE offered = offered - 1 WHERE true SETTINGS "
        "mutations_sync = 1"
    )

    backfill(pipeline, "swap", "queue_minutes")
    assert "landed.queue_minutes__g2 FINAL" in reads(pipeline, "realtime.queue_minutes")
    centre.work(20)
    becomes(minutes, centre, reference.minutes(centre.world()))
    backfill(pipeline, "revert", "queue_minutes")
    assert "landed.queue_minutes FINAL" in reads(pipeline, "realtime.queue_minutes")
    becomes(minutes, centre, reference.minutes(centre.world()))
    assert jobs.running("queue_minutes") == live

    backfill(pipeline, "swap", "queue_minutes")
    assert "removed generation 1" in backfill(pipeline, "drop", "queue_minutes")
    assert "removed nothing" in backfill(pipeline, "drop", "queue_minutes")
    assert "no earlier generation" in refusal(pipeline, "revert", "queue_minutes")
    assert jobs.running("queue_minutes") is None
    assert "queue_minutes" not in pipeline.command("plan").stdout
    centre.work(20)
    becomes(minutes, centre, reference.minutes(centre.world()))


def test_rows_from_before_its_time_are_taken_over(centre: Centre) -> None:
    pipeline, now = centre.pipeline, utc_now()
    old, new = centre.contact(now - dt.timedelta(days=3)), centre.contact()
    becomes(structured, centre, reference.structured(centre.world()))
    since = now - dt.timedelta(days=1)
    backfill(pipeline, "plan", "structured_interactions", "--from", since.isoformat())
    backfill(pipeline, "run", "structured_interactions")
    name = "landed.structured_interactions__g2"
    found = (
        f"SELECT interaction_id, _version = 0 FROM {name} FINAL WHERE account_id = {centre.account} ORDER BY "
        "1"
    )
    assert pipeline.landed(found) == [(old, 1), (new, 0)]
    backfill(pipeline, "swap", "structured_interactions")
    becomes(structured, centre, reference.structured(centre.world()))
    backfill(pipeline, "revert", "structured_interactions")
    assert "removed generation 2" in backfill(pipeline, "drop", "structured_interactions")


def test_killed_at_any_step_it_is_resumed_by_repeating_it(jobs: Flink, centre: Centre) -> None:
    pipeline, job = centre.pipeline, "agent_sessions"
    centre.activity(centre.agents[0], "available")
    backfill(pipeline, "plan", job)
    for stage in ("create its topic and table", "start its job", "read its topics"):
        killed_at(pipeline, stage, "run", job)
    backfill(pipeline, "run", job)
    assert (
        len(
            [running for running in jobs.jobs() if running.name == f"{job}.g2" and running.state == "RUNNING"]
        )
        == 1
    )
    backfill(pipeline, "swap", job)
    cut_off(pipeline, "landed.agent_sessions")
    assert "recreate its view on the active generation, 2" in pipeline.command("plan").stdout
    assert pipeline.command("apply").returncode == 0
    assert "landed.agent_sessions__g2 FINAL" in reads(pipeline, "structured.agent_sessions")
    cut_off(pipeline, "landed.agent_sessions")
    assert "generation 2 is active" in backfill(pipeline, "swap", job)
    assert "landed.agent_sessions__g2 FINAL" in reads(pipeline, "structured.agent_sessions")
    assert active_version(pipeline.control, job).generation == 2
    assert materialised_generations(pipeline.control)[job] == [1, 2]
    backfill(pipeline, "revert", job)
    cut_off(pipeline, "landed.agent_sessions__g2")
    assert "generation 1 is active" in backfill(pipeline, "revert", job)
    assert "landed.agent_sessions FINAL" in reads(pipeline, "structured.agent_sessions")
    backfill(pipeline, "drop", job)
    assert sessions(centre) is not None
    assert materialised_generations(pipeline.control)[job] == [1]
    assert steps(pipeline, job) >= {
        ("run", "RUNNING"),
        ("run", "COMPLETED"),
        ("drop", "COMPLETED"),
    }


def cut_off(pipeline: Pipeline, rows: str) -> None:
    """As a command leaves it that was killed after it had moved the pointer: the view reads what it read
    before."""
    pipeline.clickhouse.command(
        f"CREATE OR REPLACE VIEW structured.agent_sessions AS SELECT * FROM {rows} FINAL"
    )


def steps(pipeline: Pipeline, job: str) -> set[tuple[str, str]]:
    with pipeline.control.session() as session:
        steps = session.scalars(select(BackfillStep).where(BackfillStep.job == job))
        return {(step.verb, step.status) for step in steps}


def test_what_the_topics_no_longer_hold_is_neither_computed_nor_lost(
    whole: Whole, pipeline: Pipeline, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = utc_now() - dt.timedelta(days=20)
    monkeypatch.setattr("flink_jobs.backfill.horizon", lambda *_: begins)
    job_run = Backfills(whole.endpoints, pipeline.settings, pipeline.catalog, pipeline.control, whole.client)
    for since in (None, begins - dt.timedelta(days=1)):
        with pytest.raises(MisconfiguredError, match="have only records since") as refused:
            job_run.plan(load_jobs(SAMPLE_JOBS)["structured_interactions"], since)
        assert f"--from {begins:%Y-%m-%d}" in refused.value.remedy


def test_a_topic_says_since_when_it_has_every_record(pipeline: Pipeline, space: Space) -> None:
    kafka, topic = pipeline.endpoints.kafka, space.name("horizon")
    client = admin(kafka)
    client.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])[topic].result(30)
    sender = producer(kafka)
    days = [utc_now().replace(microsecond=0) - dt.timedelta(days=back) for back in (5, 3, 1)]
    for day in days:
        sender.produce(
            topic, value=b"x", partition=0, timestamp=int(day.replace(tzinfo=dt.UTC).timestamp() * 1000)
        )
    assert sender.flush(10) == 0
    assert horizon(kafka, [topic]) is None
    purged = TopicPartition(topic, 0, 1)
    client.delete_records([purged])[purged].result(30)
    assert horizon(kafka, [topic]) == days[1]
    client.delete_topics([topic])[topic].result(30)


def killed_at(pipeline: Pipeline, stage: str, *words: str) -> None:
    """Ends the command by SIGKILL as soon as it has told that it is at this stage."""
    command = [sys.executable, "-m", "switchboard", "backfill", *words]
    environment = {
        **os.environ,
        **pipeline.environment,
        "COLUMNS": "200",
        "TERM": "xterm",
        "FORCE_COLOR": "1",
    }
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        reported = ""
        while stage not in reported and (piece := process.stderr.read(1)):
            reported += piece
        process.kill()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("plan", "no_such_job"), "there is no job 'no_such_job'"),
        (("plan", "agent_status", "--from", "2026-01-01"), "rows of 'agent_status' have no time"),
        (("plan", "queue_minutes", "--from", "yesterday"), "--from 'yesterday' is not a time"),
        (("run", "queue_stats"), "no backfill of 'queue_stats' is planned"),
        (("revert", "queue_stats"), "'queue_stats' has no earlier generation"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    jobs: Flink, pipeline: Pipeline, words: tuple[str, ...], line: str
) -> None:
    assert jobs
    assert line in refusal(pipeline, *words)
