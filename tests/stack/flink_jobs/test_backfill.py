"""A result made anew beside the one in force, compared, swapped in, taken back and removed, while the live job goes on."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys

import pytest

from core.control.results import beside, pointer
from flink_jobs.rest import Flink
from tests.pipeline import Pipeline, eventually
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
    ((query,),) = pipeline.landed(f"SELECT as_select FROM system.tables WHERE concat(database, '.', name) = '{view}'")
    return str(query)


def test_the_whole_walk(jobs: Flink, centre: Centre) -> None:
    pipeline = centre.pipeline
    centre.work(60)
    becomes(minutes, centre, reference.minutes(centre.world()))
    live = jobs.running("queue_minutes")
    assert "generation 2" in backfill(pipeline, "plan", "queue_minutes")
    assert "no other generation" in refusal(pipeline, "diff", "queue_minutes")
    assert "no other generation" in refusal(pipeline, "swap", "queue_minutes")

    assert "has caught up" in backfill(pipeline, "run", "queue_minutes")
    assert "stands beside the one in force" in refusal(pipeline, "plan", "queue_minutes")
    centre.work(20)
    becomes(minutes, centre, reference.minutes(centre.world()))
    eventually(lambda: pipeline.command("backfill", "diff", "queue_minutes", "--rest", "0").returncode == 0)
    assert f"{utc_now():%Y-%m-%d}" in backfill(pipeline, "diff", "queue_minutes", "--rest", "0")

    pipeline.clickhouse.command("ALTER TABLE landed.queue_minutes__g2 UPDATE offered = offered + 1 WHERE true SETTINGS mutations_sync = 1")
    differs = pipeline.command("backfill", "diff", "queue_minutes", "--rest", "0")
    assert differs.returncode == 1
    assert "different" in differs.stdout
    pipeline.clickhouse.command("ALTER TABLE landed.queue_minutes__g2 UPDATE offered = offered - 1 WHERE true SETTINGS mutations_sync = 1")

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
    found = f"SELECT interaction_id, _version = 0 FROM {name} FINAL WHERE account_id = {centre.account} ORDER BY 1"
    assert pipeline.landed(found) == [(old, 1), (new, 0)]
    backfill(pipeline, "swap", "structured_interactions")
    becomes(structured, centre, reference.structured(centre.world()))
    backfill(pipeline, "revert", "structured_interactions")
    assert "removed generation 2" in backfill(pipeline, "drop", "structured_interactions")


def test_killed_at_any_step_it_is_resumed_by_repeating_it(jobs: Flink, centre: Centre) -> None:
    pipeline, job = centre.pipeline, "agent_sessions"
    centre.activity(centre.agents[0], "available")
    backfill(pipeline, "plan", job)
    for stage in ("make its topic and table", "start its job", "read its topics"):
        killed_at(pipeline, stage, "run", job)
    backfill(pipeline, "run", job)
    assert len([running for running in jobs.jobs() if running.name == f"{job}.g2" and running.state == "RUNNING"]) == 1
    backfill(pipeline, "swap", job)
    pipeline.clickhouse.command("CREATE OR REPLACE VIEW structured.agent_sessions AS SELECT * FROM landed.agent_sessions FINAL")
    assert "its view follows generation 2" in pipeline.command("plan").stdout
    assert pipeline.command("apply").returncode == 0
    assert "landed.agent_sessions__g2 FINAL" in reads(pipeline, "structured.agent_sessions")
    assert pointer(pipeline.control, job).generation == 2
    assert beside(pipeline.control, job) == [1, 2]
    backfill(pipeline, "revert", job)
    backfill(pipeline, "drop", job)
    assert sessions(centre) is not None
    assert beside(pipeline.control, job) == [1]


def killed_at(pipeline: Pipeline, stage: str, *words: str) -> None:
    """Ends the command by SIGKILL as soon as it has told that it is at this stage."""
    command = [sys.executable, "-m", "switchboard", "backfill", *words]
    environment = {**os.environ, **pipeline.environment, "COLUMNS": "200", "TERM": "xterm", "FORCE_COLOR": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = ""
        while stage not in told and (piece := process.stderr.read(1)):
            told += piece
        process.kill()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("plan", "no_such_job"), "there is no job 'no_such_job'"),
        (("plan", "agent_status", "--from", "2026-01-01"), "rows of 'agent_status' belong to no time"),
        (("plan", "queue_minutes", "--from", "yesterday"), "--from 'yesterday' is not a time"),
        (("run", "queue_stats"), "no backfill of 'queue_stats' is planned"),
        (("revert", "queue_stats"), "'queue_stats' has no earlier generation"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(jobs: Flink, pipeline: Pipeline, words: tuple[str, ...], line: str) -> None:
    assert jobs
    assert line in refusal(pipeline, *words)
