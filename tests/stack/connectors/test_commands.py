"""`switchboard connectors` as an operator uses it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import requests

from connectors.snapshot_tracker import SnapshotTracker
from tests.conftest import Space
from tests.launching import ROOT
from tests.pipeline import Pipeline, eventually
from tests.stack.conftest import Servers
from tests.stack.consumers.test_landing import make_shard, survey


def run(pipeline: Pipeline, *words: str, status: int = 0) -> str:
    done = pipeline.command("connectors", *words)
    assert done.returncode == status, done.stdout
    return str(done.stdout)


def unproven(pipeline: Pipeline, collection: str) -> bool:
    return collection in SnapshotTracker(pipeline.endpoints, pipeline.control).unproven("main")


def test_snapshots_are_asked_for_shown_and_steered(pipeline: Pipeline, space: Space) -> None:
    shard = space.name("acc")
    make_shard(pipeline, shard)
    survey(pipeline, shard, 1)
    assert f"{shard}.surveys" in run(pipeline, "snapshot", "surveys")
    eventually(lambda: "COMPLETED,  not  yet  proven  1" in shown(pipeline, f"main/{shard}.surveys"))
    assert unproven(pipeline, f"{shard}.surveys")
    assert "not yet proven equal since the snapshot" in pipeline.command("lag").stdout
    assert pipeline.command("verify", "surveys").returncode == 0
    assert shown(pipeline, f"main/{shard}.surveys").endswith("COMPLETED  1")
    assert not unproven(pipeline, f"{shard}.surveys")
    assert "main: pause requested" in run(pipeline, "snapshots", "pause")
    assert "main: resume requested" in run(pipeline, "snapshots", "resume")
    assert f"main: stop requested for {shard}.surveys" in run(
        pipeline, "snapshots", "stop", f"{shard}.surveys"
    )
    assert "no MySQL server 'elsewhere'" in run(
        pipeline, "snapshots", "pause", "--server", "elsewhere", status=1
    )


def shown(pipeline: Pipeline, name: str) -> str:
    lines = [line for line in run(pipeline, "snapshots").splitlines() if name in line]
    return "  ".join(lines[-1].split()[2:]) if lines else ""


def test_the_log_of_a_connector_is_its_own(pipeline: Pipeline, servers: Servers) -> None:
    if not servers.local:
        pytest.skip("the containers' logs are their engine's")
    lines = run(pipeline, "logs", "mysql-main", "--lines", "500").splitlines()
    assert any("main" in line for line in lines)
    assert not any("PluginScanner" in line for line in lines)
    assert len(run(pipeline, "logs", "--lines", "3").splitlines()) <= 3


def test_connect_logs_as_much_as_is_asked_for(pipeline: Pipeline) -> None:
    def level() -> str:
        return str(
            requests.get(f"{pipeline.endpoints.connect.url}/admin/loggers/io.debezium", timeout=10).json()[
                "level"
            ]
        )

    run(pipeline, "logs", "--level", "debug")
    eventually(lambda: level() == "DEBUG")
    run(pipeline, "logs", "--level", "info")
    eventually(lambda: level() == "INFO")
    assert "no such log level" in run(pipeline, "logs", "--level", "loud", status=1)


def test_quarantined_shards_are_listed_with_the_reason(pipeline: Pipeline, space: Space) -> None:
    shard = space.name("acc")
    make_shard(pipeline, shard)
    assert f"{shard} is quarantined" in run(pipeline, "quarantine", "main", shard, "--reason", "a test")
    assert f"main {shard} since" in run(pipeline, "quarantine")
    assert ": a test" in run(pipeline, "quarantine")
    assert "verify --repair" in run(pipeline, "quarantine", "main", shard, "--release")
    assert run(pipeline, "quarantine") == ""


def test_the_watch_serves_the_binlog_s_hours_and_ends_on_a_signal(pipeline: Pipeline) -> None:
    command = [sys.executable, "-m", "switchboard", "connectors", "watch", "--every", "0.2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=pipeline.environment, **pipes) as watch:  # type: ignore[call-overload]
        try:
            port = (
                next(line for line in watch.stdout if '"port"' in line)
                .partition('"port":')[2]
                .split(",")[0]
                .strip()
            )
            url = f"http://127.0.0.1:{port}/metrics"
            eventually(
                lambda: (
                    'switchboard_binlog_hours_left{server="main"} 168.0' in requests.get(url, timeout=10).text
                )
            )
            watch.send_signal(signal.SIGTERM)
            assert watch.wait(30) == 0
        finally:
            watch.kill()
