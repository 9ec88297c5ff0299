"""What only some tests of the run's stack need."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.rest import RestCatalog
from testcontainers.compose import DockerCompose

from core.settings import Endpoints, FlinkEndpoint
from switchboard import stack as local_stack
from switchboard.stack import compose, parts
from switchboard.stack.flink import FlinkClient
from switchboard.stack.progress import Progress
from tests.conftest import STATE
from tests.pipeline import ROOT


@dataclass(frozen=True)
class Whole:
    """The run's stack with the lake and Flink."""

    endpoints: Endpoints
    lake: Catalog
    flink: FlinkEndpoint
    client: FlinkClient


@pytest.fixture(scope="session")
def whole(stack_home: Path) -> Iterator[Whole]:
    endpoints = local_stack.up(stack_home, Progress(), parts.BASE + parts.EXTRA, artefacts=STATE / "artefacts")
    assert endpoints.flink is not None
    with iceberg(endpoints) as lake:
        yield Whole(endpoints, lake, endpoints.flink, local_stack.flink_client(stack_home, STATE / "artefacts"))


def iceberg(endpoints: Endpoints) -> RestCatalog:
    """The catalog, as any client logs in to it."""
    assert endpoints.lake is not None
    assert endpoints.s3 is not None
    secret = endpoints.s3.secret_key.get_secret_value()
    return RestCatalog(
        "lake",
        **{
            "uri": endpoints.lake.url,
            "warehouse": endpoints.lake.warehouse,
            "credential": f"{endpoints.s3.access_key}:{secret}",
            "oauth2-server-uri": f"{endpoints.lake.url}/v1/oauth/tokens",
            "s3.endpoint": endpoints.s3.url,
            "s3.access-key-id": endpoints.s3.access_key,
            "s3.secret-access-key": secret,
            "s3.region": "us-east-1",
        },
    )


@pytest.fixture(scope="session")
def containers() -> Iterator[Endpoints]:
    """The stack of docker-compose.yml: the other producer of an `Endpoints`."""
    lacking = [" ".join(command) for command in (("docker", "info"), ("docker", "compose", "version")) if not works(command)]
    if lacking:
        pytest.skip(f"docker-compose.yml cannot be tried without a container engine: `{lacking[0]}` fails")
    values = compose.environment(STATE / "compose.env")
    with DockerCompose(ROOT, env_file=str(STATE / "compose.env"), profiles=["all"], wait=False):
        yield compose.endpoints(values)


def works(command: tuple[str, ...]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
