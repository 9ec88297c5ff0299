"""Whoever waits for something hears at once that a process it needs has ended."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tests.launching import LAUNCHER
from tests.pipeline import RUNNING, eventually, expected


def test_the_failure_has_the_last_lines_of_a_process_that_ended(tmp_path: Path) -> None:
    log = tmp_path / "plan.log"
    with log.open("wb") as output:
        process = LAUNCHER.start(("plan",), {**os.environ, "SWITCHBOARD_HOME": str(tmp_path)}, output)
    with (
        expected(process, log),
        pytest.raises(AssertionError, match=r"process plan ended with status 1:(.|\n)*the stack is not up"),
    ):
        eventually(lambda: False, within=60)
    assert RUNNING == {}


def test_the_failure_has_the_last_answer_if_nothing_has_ended() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.raises(AssertionError, match=r"not within 0\.01 s; the last answer was \[\]"),
    ):
        eventually(lambda: os.listdir(folder), within=0.01)  # noqa: PTH208
