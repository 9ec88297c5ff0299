"""The demo ends when one of the commands that it has started does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import TransientError
from switchboard.demo import _check_processes


def test_a_command_that_has_ended_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "streamer.log").write_text("the port is taken\n")
    running = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    try:
        _check_processes(tmp_path, {"lander": running})
        with pytest.raises(
            TransientError, match=r"the streamer has ended; .*streamer\.log: the port is taken"
        ):
            _check_processes(tmp_path, {"lander": running, "streamer": ended})
    finally:
        running.communicate(b"\n")
