"""`switchboard` commands as processes of their own, without the two seconds that each would spend on imports.

One process imports the modules of every command once, and starts no thread; each command is a fork of it, in
a session of its own, with its own environment and output. What is tested is the same code in a process that
can be signalled and killed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NoReturn

from switchboard.cli import COMMANDS, main

ROOT = Path(__file__).parent.parent
MESSAGE_BYTES = 1 << 17


class Process:
    """What tests use of `subprocess.Popen`, for a command that `start` has started."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        return self._await(0)

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired after so many seconds."""
        status = self._await(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return status

    def _await(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            status = os.read(self._status, 100)
            os.close(self._status)
            # the launcher is gone, and nobody knows
            self.returncode = int(status) if status else -signal.SIGKILL
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Launcher:
    """The process that forks; started at the first command. Thread-safe."""

    def __init__(self, *, prepared: bool = True) -> None:
        """Without `prepared` it imports nothing beforehand: for one command that is quicker."""
        self._prepared = prepared
        self._lock = threading.Lock()
        self._channel: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        words: tuple[str, ...],
        environment: Mapping[str, str],
        output: IO[bytes],
        errors: IO[bytes] | None = None,
    ) -> Process:
        """Runs `switchboard` with these words and exactly this environment, in the project's folder.

        `errors` takes standard error, which goes to `output` otherwise.
        """
        request = json.dumps({"words": words, "environment": dict(environment)}).encode()
        reading, writing = os.pipe()
        with self._lock:
            channel = self._channel or self._begin()
            socket.send_fds(channel, [request], [output.fileno(), (errors or output).fileno(), writing])
            os.close(writing)
            return Process(int(channel.recv(100)), reading)

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [
            sys.executable,
            "-m",
            "tests.launching",
            str(theirs.fileno()),
            *(["prepared"] if self._prepared else []),
        ]
        self._process = subprocess.Popen(
            command, cwd=ROOT, pass_fds=[theirs.fileno()], start_new_session=True
        )
        theirs.close()
        self._channel = ours
        return ours

    def close(self) -> None:
        if self._channel is not None and self._process is not None:
            self._channel.close()
            self._process.wait(30)
        self._channel = self._process = None


LAUNCHER = Launcher()


def run(
    words: tuple[str, ...], environment: Mapping[str, str], limit: float = 300, *, apart: bool = False
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; both of its streams are in `stdout`, unless they are wanted apart.

    Raises subprocess.TimeoutExpired after `limit` seconds.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = LAUNCHER.start(words, environment, output, errors if apart else None)
        try:
            process.wait(limit)
        finally:
            process.kill()
        for stream in (output, errors):
            stream.seek(0)
        return subprocess.CompletedProcess(
            words, process.wait(10), output.read().decode(), errors.read().decode()
        )


def serve(channel: socket.socket) -> None:
    """Forks for each request; reports the end of each child through the pipe that came with its request."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    pipes: dict[int, int] = {}
    while True:
        ready = select.select([channel.fileno(), reading], [], [])[0]
        if reading in ready:
            os.read(reading, 1000)
            _reap(pipes)
        if channel.fileno() not in ready:
            continue
        message, received, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, 3)
        # who started it has ended, or was killed: no command may outlive the run, and meet the next one's
        # servers
        if not message:
            for pid in pipes:
                os.kill(pid, signal.SIGKILL)
            return
        output, errors, status = received
        pid = os.fork()
        if pid == 0:
            for opened in (reading, writing, status, channel.detach(), *pipes.values()):
                os.close(opened)
            _become(output, errors, **json.loads(message))
        pipes[pid] = status
        os.close(output)
        os.close(errors)
        channel.send(str(pid).encode())


def _reap(pipes: dict[int, int]) -> None:
    while pipes:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        pipe = pipes.pop(pid)
        os.write(pipe, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(pipe)


def _become(output: int, errors: int, words: list[str], environment: dict[str, str]) -> NoReturn:
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.environ.clear()
    os.environ.update(environment)
    random.seed()
    sys.argv = ["switchboard", *words]
    main()
    sys.exit(0)


if __name__ == "__main__":
    for name, _ in COMMANDS.values() if "prepared" in sys.argv else ():
        importlib.import_module(name.partition(":")[0])
    gc.freeze()  # else the first garbage collection of each fork copies every imported object: 0.4 s of CPU
    serve(socket.socket(fileno=int(sys.argv[1])))
