"""Checks whether a server of the stack answers."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import requests
from confluent_kafka import KafkaException

from core.clients import mysql
from core.clients.kafka import admin
from core.errors import SwitchboardError
from core.settings import Endpoints, LakeEndpoint, S3Endpoint

Check = Callable[[Endpoints], bool]


def _mysql(endpoints: Endpoints) -> bool:
    return bool(mysql.rows(endpoints.mysql[0], "SELECT 1"))


def _kafka(endpoints: Endpoints) -> bool:
    host, port = endpoints.kafka.bootstrap.split(":")
    with socket.create_connection((host, int(port)), timeout=2):
        return bool(admin(endpoints.kafka).list_topics(timeout=5).brokers)


def _http(url: str) -> bool:
    return requests.get(url, timeout=3).status_code == 200


def _lake(lake: LakeEndpoint, s3: S3Endpoint) -> bool:
    login = {
        "grant_type": "client_credentials",
        "client_id": s3.access_key,
        "client_secret": s3.secret_key.get_secret_value(),
    }
    token = requests.post(f"{lake.url}/v1/oauth/tokens", data=login, timeout=3).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    return (
        requests.get(f"{lake.url}/v1/{lake.warehouse}/namespaces", headers=headers, timeout=3).status_code
        == 200
    )


def _seaweedfs(endpoints: Endpoints) -> bool:
    """Checks S3, the catalog and the warehouse, which is created after both listen."""
    if endpoints.s3 is None or endpoints.lake is None:
        return False
    return requests.get(endpoints.s3.url, timeout=3).status_code < 500 and _lake(endpoints.lake, endpoints.s3)


CHECKS: dict[str, Check] = {
    "mysql": _mysql,
    "kafka": _kafka,
    "registry": lambda endpoints: _http(f"{endpoints.registry.confluent}/subjects"),
    "connect": lambda endpoints: _http(f"{endpoints.connect.url}/connectors"),
    "clickhouse": lambda endpoints: _http(
        f"http://{endpoints.clickhouse.host}:{endpoints.clickhouse.http_port}/ping"
    ),
    "seaweedfs": _seaweedfs,
    "flink-jobmanager": lambda endpoints: (
        endpoints.flink is not None and _http(f"{endpoints.flink.url}/overview")
    ),
    "flink-taskmanager": lambda endpoints: (
        endpoints.flink is not None
        and requests.get(f"{endpoints.flink.url}/overview", timeout=3).json()["slots-total"] > 0
    ),
}


def answers(service: str, endpoints: Endpoints) -> bool:
    """Whether the service answers. Blocks for a few seconds at most; never raises."""
    try:
        return CHECKS[service](endpoints)
    except (SwitchboardError, KafkaException, requests.RequestException, OSError, KeyError):
        return False


def tail(log: Path, lines: int = 15) -> str:
    """Returns the last lines of a log file."""
    if not log.exists():
        return "(no log)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 64_000))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
