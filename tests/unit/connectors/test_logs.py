"""Of Connect's log, what tells of one connector."""

from __future__ import annotations

from pathlib import Path

from connectors.logs import lines_of

LOG = """2026-11-23T11:00:00,001 INFO Threads Creating thread debezium-mysqlconnector-main-SignalProcessor
2026-11-23T11:00:00,002 INFO Worker of mysql-second in /opt/main/plugins
2026-11-23T11:00:00,003 ERROR WorkerSourceTask mysql-main-0 failed
java.lang.IllegalStateException: it broke
\tat a.b.C(D.java:1)
Caused by: java.io.IOException: the cause
\t... 3 more
2026-11-23T11:00:00,004 WARN mysql-main2 is another
"""


def test_only_events_that_name_it_with_their_causes_but_not_their_stack(tmp_path: Path) -> None:
    log = tmp_path / "connect.log"
    log.write_text(LOG)
    assert lines_of(log, ("mysql-main", "mysql-main-0"), 10) == [
        "2026-11-23T11:00:00,003 ERROR WorkerSourceTask mysql-main-0 failed",
        "java.lang.IllegalStateException: it broke",
        "Caused by: java.io.IOException: the cause",
    ]


def test_a_folder_of_its_server_s_name_is_not_meant(tmp_path: Path) -> None:
    log = tmp_path / "connect.log"
    log.write_text(LOG)
    assert lines_of(log, ("main", "debezium-mysqlconnector-main"), 10) == LOG.splitlines()[:1]


def test_the_last_lines_of_all(tmp_path: Path) -> None:
    log = tmp_path / "connect.log"
    log.write_text(LOG)
    assert lines_of(log, (), 1) == ["2026-11-23T11:00:00,004 WARN mysql-main2 is another"]
