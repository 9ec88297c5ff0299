"""The local stack's Flink client, with one warm process for all submissions of the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from flink_jobs import client as flink_client
from flink_jobs.client import RUNNER, FlinkClient
from tests import warm_runner
from tests.pipeline import eventually


@contextmanager
def warmed(home: Path, client: FlinkClient) -> Iterator[FlinkClient]:
    """`client`, here and for commands on the stack in `home`, by a process that is started once."""
    with tempfile.TemporaryDirectory() as folder:  # a socket's path has to be short
        socket_path, stand_in = f"{folder}/socket", Path(folder) / "python"
        stand_in.write_text(
            warm_runner.STAND_IN.format(
                python=sys.executable, socket_path=socket_path, flink=str(client.python)
            )
        )
        stand_in.chmod(0o700)
        known = json.loads((home / flink_client.FILE).read_text())
        (home / flink_client.FILE).write_text(json.dumps({**known, "python": str(stand_in)}))
        command = [str(client.python), warm_runner.__file__, socket_path, str(RUNNER.parent)]
        with (home / "logs" / "flink-client.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env={**os.environ, **client.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            eventually(Path(socket_path).exists)
            yield replace(client, python=stand_in)
        finally:
            process.terminate()
            process.wait(30)
