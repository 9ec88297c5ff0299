"""Waiting for a server that was started: until it answers, or it is clear why it will not."""

from __future__ import annotations

import re
import time
from pathlib import Path

import psutil

from core.errors import TransientError
from core.settings import Endpoints
from switchboard.stack import deaths, health
from switchboard.stack.state import PortTakenError
from switchboard.stack.supervise import stack_processes

LOOPBACK = ("127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "::")
HOPELESS = 3
"""Deaths in a row after which waiting on is no use."""
TROUBLE = re.compile(r"\b(error|exception|fatal|failed|cannot|no space)", re.IGNORECASE)


def wait(part: str, home: Path, endpoints: Endpoints, ports: tuple[int, ...], limit: float = 120) -> None:
    """Blocks until the part answers. Raises PortTakenError, or TransientError with what its log says."""
    logs = home / "logs"
    started = time.monotonic()
    died = before = len(deaths.read(logs)[part])
    while True:
        answers = health.answers(part, endpoints)
        now = len(deaths.read(logs)[part])
        if answers or now != died:
            _refuse_others(part, home, ports)
        if answers:
            return
        died = now
        if died - before >= HOPELESS:
            raise _failed(f"{part} died {died - before} times while it started", logs / f"{part}.log")
        if time.monotonic() - started > limit:
            raise _failed(f"{part} does not answer after {limit:.0f} s", logs / f"{part}.log")
        time.sleep(0.1)


def _refuse_others(part: str, home: Path, ports: tuple[int, ...]) -> None:
    ours = {process.pid for process in stack_processes(home)}
    for connection in psutil.net_connections("tcp"):
        address = connection.laddr
        if not address or connection.status != psutil.CONN_LISTEN or connection.pid in ours:
            continue
        if address.ip in LOOPBACK and address.port in ports:
            raise PortTakenError(part, address.port)


def _failed(what: str, log: Path) -> TransientError:
    return TransientError(f"{what}: {reason(log)}", f"see {log}; is the disk full?")


def reason(log: Path) -> str:
    """The last line of a log that tells of trouble, else its last; lines of a stack trace are passed over."""
    lines = [line.strip() for line in health.tail(log, 200).splitlines() if line.strip() and not re.match(r"\s*(at |\.\.\. \d)", line)]
    trouble = [line for line in lines if TROUBLE.search(line)]
    return (trouble or lines or ["(no log)"])[-1][:300]
