"""Flink's client kept warm: one process runs `flink_jobs/runner.py` for each of the tests' commands, one
after the other.

Each submission would start Python, PyFlink and a JVM otherwise: seconds of both processors, dozens of times a
run. It runs in Flink's environment, so it imports nothing of ours but the runner.

python warm_runner.py SOCKET FOLDER

takes standard input, output and error of a caller through the socket, and answers with the runner's exit
status. The caller is `STAND_IN`, which tests use instead of Flink's Python.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import traceback
from contextlib import suppress
from typing import Any

STAND_IN = """#!{python} -IS
import fcntl, os, signal, socket, sys
def give_up(*_):
    raise TimeoutError
try:
    lock = open({socket_path!r} + ".lock", "w")
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(30)
    fcntl.flock(lock, fcntl.LOCK_EX)
    signal.alarm(0)
    channel = socket.socket(socket.AF_UNIX)
    channel.connect({socket_path!r})
    socket.send_fds(channel, [b"."], [0, 1, 2])
except OSError:  # busy for long, or not there
    os.execv({flink!r}, [{flink!r}, *sys.argv[1:]])
for number in (0, 1, 2):
    os.close(number)
status = channel.recv(1)
os._exit(status[0] if status else 1)
"""


def serve(socket_path: str, runner: Any) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(socket_path)
    listener.listen()
    while True:
        channel, _ = listener.accept()
        with channel:
            _, streams, _, _ = socket.recv_fds(channel, 1, 3)
            if len(streams) == 3:
                status = run(runner, *streams)
                with suppress(OSError):  # the caller was killed
                    channel.sendall(bytes([status]))


def run(runner: Any, reading: int, writing: int, errors: int) -> int:
    kept = sys.stdin, sys.stdout, sys.stderr
    try:
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(reading),
            os.fdopen(writing, "w"),
            os.fdopen(errors, "w"),
        )
        try:
            return int(runner.main())
        except Exception:
            traceback.print_exc()
            return 1
        finally:
            for stream in (sys.stdin, sys.stdout, sys.stderr):
                with suppress(OSError):  # nobody reads any more
                    stream.close()
    finally:
        sys.stdin, sys.stdout, sys.stderr = kept


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[2])
    serve(sys.argv[1], importlib.import_module("runner"))
