"""Waits until a started server answers, or fails with the reason."""

from __future__ import annotations

import re
import time
from pathlib import Path

import psutil

from core.errors import TransientError
from core.settings import Endpoints
from switchboard.stack import crash_log, health
from switchboard.stack.state import PortTakenError
from switchboard.stack.supervisord import stack_processes

LOOPBACK = ("127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "::")
MAX_CRASHES = 3
"""Crashes during one start after which it has failed."""
ERROR_PATTERN = re.compile(r"\b(error|exception|fatal|failed|cannot|no space)", re.IGNORECASE)


def wait(service: str, home: Path, endpoints: Endpoints, ports: tuple[int, ...], limit: float = 120) -> None:
    """Blocks until the service answers.

    Raises PortTakenError, or TransientError with the last error of its log: after `MAX_CRASHES` crashes or
    `limit` seconds.
    """
    logs = home / "logs"
    started = time.monotonic()
    crashed = before = len(crash_log.read(logs)[service])
    while True:
        answers = health.answers(service, endpoints)
        now = len(crash_log.read(logs)[service])
        if answers or now != crashed:
            _refuse_others(service, home, ports)
        if answers:
            return
        crashed = now
        if crashed - before >= MAX_CRASHES:
            raise _failed(
                f"{service} crashed {crashed - before} times while it started", logs / f"{service}.log"
            )
        if time.monotonic() - started > limit:
            raise _failed(f"{service} does not answer after {limit:.0f} s", logs / f"{service}.log")
        time.sleep(0.1)


def _refuse_others(service: str, home: Path, ports: tuple[int, ...]) -> None:
    ours = {process.pid for process in stack_processes(home)}
    for connection in psutil.net_connections("tcp"):
        address = connection.laddr
        if not address or connection.status != psutil.CONN_LISTEN or connection.pid in ours:
            continue
        if address.ip in LOOPBACK and address.port in ports:
            raise PortTakenError(service, address.port)


def _failed(what: str, log: Path) -> TransientError:
    return TransientError(f"{what}: {last_error(log)}", f"see {log}; is the disk full?")


def last_error(log: Path) -> str:
    """Returns the last line of a log that matches `ERROR_PATTERN`, else its last line; stack frames are
    skipped."""
    lines = [
        line.strip()
        for line in health.tail(log, 200).splitlines()
        if line.strip() and not re.match(r"\s*(at |\.\.\. \d)", line)
    ]
    errors = [line for line in lines if ERROR_PATTERN.search(line)]
    return (errors or lines or ["(no log)"])[-1][:300]
