"""Whether a server of the stack answers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import requests
from confluent_kafka import KafkaException

from core.clients import mysql
from core.clients.kafka import admin
from core.errors import SwitchboardError, TransientError
from core.settings import Endpoints

Check = Callable[[Endpoints], bool]


def _mysql(endpoints: Endpoints) -> bool:
    return bool(mysql.rows(endpoints.mysql[0], "SELECT 1"))


def _kafka(endpoints: Endpoints) -> bool:
    host, port = endpoints.kafka.bootstrap.split(":")
    with socket.create_connection((host, int(port)), timeout=2):
        return bool(admin(endpoints.kafka).list_topics(timeout=5).brokers)


def _http(url: str) -> bool:
    return requests.get(url, timeout=3).status_code == 200


CHECKS: dict[str, Check] = {
    "mysql": _mysql,
    "kafka": _kafka,
    "registry": lambda endpoints: _http(f"{endpoints.registry.confluent}/subjects"),
    "connect": lambda endpoints: _http(f"{endpoints.connect.url}/connectors"),
    "clickhouse": lambda endpoints: _http(f"http://{endpoints.clickhouse.host}:{endpoints.clickhouse.http_port}/ping"),
    "seaweedfs": lambda endpoints: endpoints.s3 is not None and requests.get(endpoints.s3.url, timeout=3).status_code < 500,
    "flink-jobmanager": lambda endpoints: endpoints.flink is not None and _http(f"{endpoints.flink.url}/overview"),
    "flink-taskmanager": lambda endpoints: (
        endpoints.flink is not None and requests.get(f"{endpoints.flink.url}/overview", timeout=3).json()["slots-total"] > 0
    ),
}


def answers(part: str, endpoints: Endpoints) -> bool:
    """Blocks a few seconds at most."""
    try:
        return CHECKS[part](endpoints)
    except (SwitchboardError, KafkaException, requests.RequestException, OSError, KeyError):
        return False


def wait(part: str, endpoints: Endpoints, log: Path, limit: float = 120) -> float:
    """Blocks until the part answers and returns the seconds it took. Raises TransientError with its log's end."""
    started = time.monotonic()
    while not answers(part, endpoints):
        if time.monotonic() - started > limit:
            raise TransientError(f"{part} does not answer after {limit:.0f} s; its log ends:\n{tail(log)}", f"see {log}")
        time.sleep(0.1)
    return time.monotonic() - started


def tail(log: Path, lines: int = 15) -> str:
    if not log.exists():
        return "(no log)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 64_000))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
