"""A command that is forked is a process of its own: its output, its environment, its end."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests import launching
from tests.launching import LAUNCHER, Launcher
from tests.pipeline import eventually


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "SWITCHBOARD_HOME": str(tmp_path)}


def test_a_command_runs_to_its_end(environment: dict[str, str]) -> None:
    done = launching.run(
        ("contracts", "show", "interactions", "--target", "clickhouse"), environment, apart=True
    )
    assert done.returncode == 0, done.stderr
    assert "CREATE TABLE" in done.stdout


def test_its_errors_may_be_had_apart(environment: dict[str, str]) -> None:
    done = launching.run(("plan",), environment, apart=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the stack is not up" in done.stderr
    assert "the stack is not up" in launching.run(("plan",), environment).stdout


def test_it_has_the_environment_that_is_given_and_no_other(environment: dict[str, str]) -> None:
    done = launching.run(("plan",), environment | {"SWITCHBOARD_TOPICS__PARTITIONS": "many"})
    assert "topics.partitions" in done.stdout
    assert "topics.partitions" not in launching.run(("plan",), environment).stdout


@pytest.fixture
def long(tmp_path: Path, environment: dict[str, str]) -> Iterator[launching.Process]:
    """A command that goes on until it is stopped: it waits for its contracts, a pipe that nobody writes
    to."""
    os.mkfifo(tmp_path / "settings.toml")
    with tempfile.TemporaryFile() as output:
        process = LAUNCHER.start(
            ("plan",), environment | {"SWITCHBOARD_SETTINGS": str(tmp_path / "settings.toml")}, output
        )
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_its_signal_is_in_its_status(long: launching.Process, number: signal.Signals) -> None:
    assert long.poll() is None
    eventually(lambda: os.getsid(long.pid) == long.pid)
    long.send_signal(number)
    assert long.wait(20) == -number
    assert long.poll() == -number


def test_commands_run_beside_each_other(environment: dict[str, str], long: launching.Process) -> None:
    assert launching.run(("plan",), environment).returncode == 1
    assert long.poll() is None


def test_the_launcher_ends_with_whoever_started_it(environment: dict[str, str]) -> None:
    launcher = Launcher(prepared=False)
    with tempfile.TemporaryFile() as output:
        assert launcher.start(("plan",), environment, output).wait(60) == 1
    assert launcher._process is not None
    process = launcher._process
    launcher.close()
    eventually(lambda: process.poll() == 0)


def test_a_command_ends_with_whoever_started_the_launcher(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    os.mkfifo(tmp_path / "settings.toml")
    launcher = Launcher(prepared=False)
    with tempfile.TemporaryFile() as output:
        command = launcher.start(
            ("plan",), environment | {"SWITCHBOARD_SETTINGS": str(tmp_path / "settings.toml")}, output
        )
    eventually(lambda: os.getsid(command.pid) == command.pid)
    launcher.close()
    eventually(
        lambda: (
            not psutil.pid_exists(command.pid) or psutil.Process(command.pid).status() == psutil.STATUS_ZOMBIE
        )
    )
