"""A server that dies is started again, and `switchboard status` shows it."""

from __future__ import annotations

import os
from pathlib import Path

from switchboard import stack as local_stack
from switchboard.stack import health
from switchboard.stack.supervise import PartStatus
from tests import launching
from tests.pipeline import eventually


def part(home: Path, name: str) -> PartStatus:
    return next(status for status in local_stack.statuses(home) if status.name == name)


def test_a_killed_server_is_started_again_and_shown(whole_home: Path) -> None:
    before = part(whole_home, "seaweedfs")
    local_stack.kill(whole_home, "seaweedfs")
    eventually(lambda: len(part(whole_home, "seaweedfs").deaths) == len(before.deaths) + 1)
    eventually(lambda: health.answers("seaweedfs", local_stack.endpoints(whole_home)))
    after = part(whole_home, "seaweedfs")
    assert after.pid != before.pid
    assert after.deaths[-1].how == "terminated by SIGKILL"
    assert after.memory > 10 << 20
    environment = {**os.environ, "SWITCHBOARD_HOME": str(whole_home), "COLUMNS": "120"}
    shown = launching.run(("status",), environment).stdout
    assert "seaweedfs died last at" in shown
    assert "terminated by SIGKILL" in shown
