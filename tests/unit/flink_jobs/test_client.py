"""What Flink's client is told beside each job's own settings."""

from __future__ import annotations

import json
from pathlib import Path

from core.settings import SAMPLE_JOBS, FlinkEndpoint, FlinkSettings
from flink_jobs import client
from flink_jobs.job_list import load_jobs
from flink_jobs.jobs import JobRun, result_table, settings
from schemas.catalog import load


def test_how_fresh_results_are_is_the_deployment_s_setting_and_no_job_s(tmp_path: Path) -> None:
    (tmp_path / client.FILE).parent.mkdir()
    (tmp_path / client.FILE).write_text(json.dumps({"python": "python", "environment": {}}))
    reported = client.load(
        tmp_path,
        FlinkEndpoint(url="http://flink:8081"),
        FlinkSettings(buffer_timeout_milliseconds=7, mini_batch_latency_milliseconds=9),
    ).settings
    latencies = {"execution.buffer-timeout.interval": "7 ms", "table.exec.mini-batch.allow-latency": "9 ms"}
    assert latencies.items() <= reported.items()
    catalog = load("schemas.contracts")
    for job in load_jobs(SAMPLE_JOBS):
        assert not latencies.keys() & settings(JobRun(job, result_table(job, catalog))).keys()
