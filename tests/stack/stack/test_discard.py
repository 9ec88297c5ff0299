"""`switchboard down --discard`: a stack that nobody wants any more goes at once, and what was fetched for it
stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from switchboard import stack as local_stack
from switchboard.stack.progress import Progress
from switchboard.stack.supervisord import stack_processes
from tests.launching import ROOT


def test_its_processes_and_data_go_and_the_fetched_files_and_logs_stay(home: Path) -> None:
    local_stack.up(home, Progress(), ("mysql",))
    assert (home / "mysql" / "data").exists()
    environment = {**os.environ, "SWITCHBOARD_HOME": str(home)}
    subprocess.run(
        [sys.executable, "-m", "switchboard", "down", "--discard"], cwd=ROOT, env=environment, check=True
    )
    assert stack_processes(home) == []
    assert not (home / "mysql").exists()
    assert not (home / "state.json").exists()
    assert (home / "logs" / "mysql.log").exists()
    assert (home / "artefacts" / "mysql").exists()
