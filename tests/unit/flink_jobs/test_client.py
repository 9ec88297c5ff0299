"""What the process in Flink's environment answers, refuses, or fails to say. A fake stands for it; the stack's tests run the real one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.errors import MisconfiguredError, TransientError
from flink_jobs import client
from flink_jobs.client import FlinkClient

ECHO = """
import json, sys
for line in sys.stdin:
    for session in json.loads(line):
        for statement in session["statements"]:
            print("a word of Java's")
            print(json.dumps({"rows": [[statement, session["settings"]["a"]]]}), flush=True)
"""


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> FlinkClient:
    runner = folder / "runner.py"
    runner.write_text(script)
    monkeypatch.setattr(client, "RUNNER", runner)
    return FlinkClient(Path(sys.executable), {}, {"a": "1"})


def test_one_process_answers_session_after_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with made(tmp_path, monkeypatch, ECHO).open() as runner:
        assert runner.run_each([(["x", "y"], {}), ([], {}), (["z"], {"a": "2"})]) == [
            [{"rows": [["x", "1"]]}, {"rows": [["y", "1"]]}],
            [],
            [{"rows": [["z", "2"]]}],
        ]
        assert runner.run_each([(["later"], {})]) == [[{"rows": [["later", "1"]]}]]


def test_a_refusal_names_the_statement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = made(tmp_path, monkeypatch, """print('{"rows": []}'); print('{"error": "no such table"}')""")
    with pytest.raises(MisconfiguredError, match="refuses statement 2: no such table"):
        refusing.run(["x", "y"])


def test_what_it_said_last_is_told_if_it_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dying = made(tmp_path, monkeypatch, "raise SystemExit('there is no Java')")
    with pytest.raises(TransientError, match="there is no Java"):
        dying.run(["x"])


def test_silence_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = made(tmp_path, monkeypatch, "import time; time.sleep(60)")
    with pytest.raises(TransientError, match="has not answered in 1 s"):
        silent.run(["x"], limit=1)
