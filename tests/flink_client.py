"""The local stacks' Flink client, with one warm process for all submissions of a run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from flink_jobs import client as flink_client
from flink_jobs.client import RUNNER, FlinkClient
from tests import warm_runner
from tests.conftest import HOMES, STATE
from tests.pipeline import eventually

PLACE = Path(tempfile.gettempdir()) / f"switchboard-{zlib.crc32(bytes(STATE / HOMES)):x}"
"""Of this checkout's run: a socket's path has to be short."""


def warm_elsewhere(client: FlinkClient) -> FlinkClient:
    """`client` by the warm process that the run's other half has started for its own stack; as it is, if there is none."""
    stand_in = PLACE / "python"
    return replace(client, python=stand_in) if stand_in.exists() else client


@contextmanager
def warmed(home: Path, client: FlinkClient) -> Iterator[FlinkClient]:
    """`client`, here and for commands on the stack in `home`, by a process that is started once."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(0o700)
    socket_path, stand_in = str(PLACE / "socket"), PLACE / "python"
    known = json.loads((home / flink_client.FILE).read_text())
    (home / flink_client.FILE).write_text(json.dumps({**known, "python": str(stand_in)}))
    command = [str(client.python), warm_runner.__file__, socket_path, str(RUNNER.parent)]
    with (home / "logs" / "flink-client.log").open("ab") as log:
        process = subprocess.Popen(command, env={**os.environ, **client.environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        text = warm_runner.STAND_IN.format(python=sys.executable, socket_path=socket_path, flink=str(client.python))
        stand_in.touch(0o700)
        stand_in.write_text(text)
        eventually(Path(socket_path).exists)
        yield replace(client, python=stand_in)
    finally:
        shutil.rmtree(PLACE, ignore_errors=True)
        process.terminate()
        process.wait(30)
