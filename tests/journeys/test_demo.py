"""`make demo`, as the README promises it: watched, ended by Ctrl-C, proven equal, and leaving nothing behind
but the servers and jobs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import requests

from core.settings import SAMPLE_JOBS
from flink_jobs.job_list import load_jobs
from flink_jobs.rest import Flink
from switchboard import stack as local_stack
from tests.conftest import start_lock
from tests.launching import ROOT
from tests.pipeline import eventually

JOBS = {job.name for job in load_jobs(SAMPLE_JOBS)}


def ours(line: list[str]) -> bool:
    return line[1:3] == ["-m", "switchboard"] or "core.clients.describe_topics" in line


def running(home: Path) -> list[str]:
    """The words that this project's processes on that stack were called with, the servers apart."""
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
            if ours(line) and process.environ().get("SWITCHBOARD_HOME") == str(home):
                found.append(" ".join(line[3:]))
        except psutil.Error:
            continue
    return found


def running_jobs(home: Path) -> set[str]:
    at = local_stack.endpoints(home).flink
    assert at is not None
    return {job.name for job in Flink(at).jobs() if job.state == "RUNNING"}


def test_ctrl_c_ends_it_with_the_copies_proven_equal(worker_home: Path) -> None:
    home = worker_home
    if not (home / "artefacts").exists():
        (home / "artefacts").symlink_to(home.parent / "artefacts")
    log = home / "demo.log"
    environment = {**os.environ, "SWITCHBOARD_HOME": str(home), "COLUMNS": "120"}
    with start_lock(), log.open("wb") as stream:
        command = [sys.executable, "-m", "switchboard", "demo", "--rate", "50"]
        demo = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=stream, stderr=stream, start_new_session=True
        )
        eventually(lambda: demo.poll() is not None or "Applying the contracts" in log.read_text(), within=240)
    try:
        eventually(
            lambda: {"land", "connectors", "stream"} <= {words.split()[0] for words in running(home)},
            within=240,
        )
        landed = home / "logs" / "lander.log"
        eventually(lambda: landed.exists() and '"event": "assigned"' in landed.read_text())
        page = eventually(
            lambda: re.search(r"(http://127\.0\.0\.1:\d+)/#token=(\S+)", log.read_text()), within=180
        )
        assert "<title>Switchboard</title>" in requests.get(page[1] + "/", timeout=10).text
        eventually(
            lambda: running_jobs(home) == JOBS and "flink submit" not in running(home),
            within=180,
        )
        demo.send_signal(signal.SIGINT)
        assert demo.wait(180) == 0, log.read_text()
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.wait()
    output = log.read_text()
    assert "interactions in acc_2: equal" in output
    assert "different" not in output
    assert running(home) == []
    assert running_jobs(home) == JOBS
