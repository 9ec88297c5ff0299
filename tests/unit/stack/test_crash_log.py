"""The listener notes how a server died and what it said, before the next one writes in the same log."""

from __future__ import annotations

import io
from pathlib import Path

from switchboard.stack import deaths


def event(part: str) -> str:
    payload = f"processname:{part} groupname:{part} from_state:RUNNING expected:0 pid:77"
    return f"ver:3.0 server:supervisor serial:1 pool:deaths poolserial:1 eventname:PROCESS_STATE_EXITED len:{len(payload)}\n{payload}"


def listen(logs: Path, *events: str) -> str:
    answers = io.StringIO()
    deaths.listen(logs, io.StringIO("".join(events)), answers)
    return answers.getvalue()


def test_a_death_is_told_with_its_cause_and_last_words(tmp_path: Path) -> None:
    (tmp_path / "supervisord.log").write_text(
        "2026-01-01 10:00:00,000 WARN exited: kafka (exit status 1; not expected)\n"
        "2026-01-01 11:00:00,000 WARN exited: mysql (terminated by SIGKILL; not expected)\n"
    )
    (tmp_path / "kafka.log").write_text("one\ntwo\nthree\nthe disk is full\n")
    listen(tmp_path, event("kafka"))
    (death,) = deaths.read(tmp_path)["kafka"]
    assert (death.how, death.said) == ("exit status 1", "two\nthree\nthe disk is full")


def test_every_death_is_counted_and_answered(tmp_path: Path) -> None:
    answers = listen(tmp_path, event("kafka"), event("mysql"), event("kafka"))
    assert {part: len(found) for part, found in deaths.read(tmp_path).items()} == {"kafka": 2, "mysql": 1}
    assert answers == "READY\n" + "RESULT 2\nOKREADY\n" * 3


def test_a_stack_in_which_nothing_died_tells_of_no_death(tmp_path: Path) -> None:
    assert deaths.read(tmp_path) == {}
