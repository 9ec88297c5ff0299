"""A server that dies is started again, and `switchboard status` shows it."""

from __future__ import annotations

import os
from pathlib import Path

from switchboard import stack as local_stack
from switchboard.stack import health
from switchboard.stack.supervisord import ServiceStatus
from tests import launching
from tests.pipeline import eventually


def part(home: Path, name: str) -> ServiceStatus:
    return next(status for status in local_stack.statuses(home) if status.name == name)


def test_a_killed_server_is_started_again_and_shown(whole_home: Path) -> None:
    before = part(whole_home, "seaweedfs")
    local_stack.kill(whole_home, "seaweedfs")
    eventually(lambda: len(part(whole_home, "seaweedfs").crashes) == len(before.crashes) + 1)
    eventually(lambda: health.answers("seaweedfs", local_stack.endpoints(whole_home)))
    after = part(whole_home, "seaweedfs")
    assert after.pid != before.pid
    assert after.crashes[-1].exit_reason == "terminated by SIGKILL"
    assert after.memory > 10 << 20
    environment = {**os.environ, "SWITCHBOARD_HOME": str(whole_home), "COLUMNS": "120"}
    shown = launching.run(("status",), environment).stdout
    assert "seaweedfs crashed last at" in shown
    assert "terminated by SIGKILL" in shown
