"""The listener records a crash with the end of the log, before the restarted server continues the log."""

from __future__ import annotations

import io
from pathlib import Path

from switchboard.stack import crash_log


def event(part: str) -> str:
    payload = f"processname:{part} groupname:{part} from_state:RUNNING expected:0 pid:77"
    return (
        "ver:3.0 server:supervisor serial:1 pool:crashes poolserial:1 eventname:PROCESS_STATE_EXITED "
        f"len:{len(payload)}\n{payload}"
    )


def listen(logs: Path, *events: str) -> str:
    answers = io.StringIO()
    crash_log.listen(logs, io.StringIO("".join(events)), answers)
    return answers.getvalue()


def test_a_crash_is_recorded_with_its_exit_reason_and_log_tail(tmp_path: Path) -> None:
    (tmp_path / "supervisord.log").write_text(
        "2026-01-01 10:00:00,000 WARN exited: kafka (exit status 1; not expected)\n"
        "2026-01-01 11:00:00,000 WARN exited: mysql (terminated by SIGKILL; not expected)\n"
    )
    (tmp_path / "kafka.log").write_text("one\ntwo\nthree\nthe disk is full\n")
    listen(tmp_path, event("kafka"))
    (crash,) = crash_log.read(tmp_path)["kafka"]
    assert (crash.exit_reason, crash.log_tail) == ("exit status 1", "two\nthree\nthe disk is full")


def test_every_crash_is_recorded_and_acknowledged(tmp_path: Path) -> None:
    answers = listen(tmp_path, event("kafka"), event("mysql"), event("kafka"))
    assert {part: len(found) for part, found in crash_log.read(tmp_path).items()} == {"kafka": 2, "mysql": 1}
    assert answers == "READY\n" + "RESULT 2\nOKREADY\n" * 3


def test_a_stack_without_crashes_has_no_log(tmp_path: Path) -> None:
    assert crash_log.read(tmp_path) == {}
