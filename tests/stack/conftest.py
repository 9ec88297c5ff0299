"""Each test's own databases in the stack of its process; with a container engine, docker-compose.yml's beside
it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.rest import RestCatalog
from testcontainers.compose import DockerCompose

from core.control.result_versions import active_versions
from core.settings import SAMPLE_JOBS, Endpoints, FlinkEndpoint
from flink_jobs.client import FlinkClient
from flink_jobs.job_list import load_jobs
from flink_jobs.rest import Flink
from flink_jobs.submit import Submitter
from switchboard import stack as local_stack
from switchboard.stack import compose, health, services
from switchboard.stack.progress import Progress
from tests.conftest import FLINK_SETTINGS, HOMES, STATE
from tests.containers import lacking_container_command
from tests.flink_client import warmed
from tests.launching import ROOT
from tests.pipeline import Pipeline, eventually, make_pipeline


@pytest.fixture(scope="package")
def containers() -> Iterator[Endpoints]:
    """The stack of docker-compose.yml: the other producer of an `Endpoints`."""
    values = compose.environment(STATE / "compose.env")
    # its ports are fixed: the other process waits its turn
    one = FileLock(STATE / ".containers.lock", timeout=3600)
    with one, DockerCompose(ROOT, env_file=str(STATE / "compose.env"), profiles=["all"], wait=False):
        endpoints = compose.endpoints(values)
        for part in services.BASE + services.OPTIONAL:
            eventually(partial(health.answers, part, endpoints), within=180)
        yield endpoints


@dataclass(frozen=True)
class Servers:
    home: Path
    """Where logs go; the local stack's state too."""
    endpoints: Endpoints
    local: bool


@pytest.fixture(
    scope="package", params=["local", "containers"] if lacking_container_command() is None else ["local"]
)
def servers(request: pytest.FixtureRequest) -> Servers:
    """What the tests against servers run on: each of them twice, where there is a container engine."""
    if request.param == "local":
        home: Path = request.getfixturevalue("stack_home")
        return Servers(home, local_stack.endpoints(home), local=True)
    endpoints: Endpoints = request.getfixturevalue("containers")
    return Servers(logs_only("containers"), endpoints, local=False)


def logs_only(name: str) -> Path:
    """A home without a stack: commands learn of the servers by SWITCHBOARD_ENDPOINTS alone."""
    home = STATE / f"{HOMES}{name}"
    shutil.rmtree(home, ignore_errors=True)
    (home / "logs").mkdir(parents=True)
    return home


@pytest.fixture(scope="package")
def stack(servers: Servers) -> Endpoints:
    return servers.endpoints


@pytest.fixture(scope="package")
def pipeline(servers: Servers) -> Iterator[Pipeline]:
    """Every contract applied, and one lander running for the whole run."""
    pipeline = make_pipeline(servers.home, servers.endpoints)
    pipeline.apply()
    with pipeline.lander() as lander:
        yield pipeline
        assert lander.poll() is None, f"the lander ended; see {servers.home / 'logs' / 'lander.log'}"
    pipeline.control.close()
    pipeline.clickhouse.close()


@dataclass(frozen=True)
class Whole:
    """The run's stack with the lake and Flink."""

    endpoints: Endpoints
    lake: Catalog
    flink: FlinkEndpoint
    client: FlinkClient


@pytest.fixture(scope="package")
def whole_home(stack_home: Path) -> Path:
    local_stack.up(stack_home, Progress(), services.BASE + services.OPTIONAL, artefacts=STATE / "artefacts")
    return stack_home


@pytest.fixture(scope="package")
def whole(servers: Servers, whole_home: Path) -> Iterator[Whole]:
    endpoints = local_stack.endpoints(whole_home) if servers.local else servers.endpoints
    assert endpoints.flink is not None
    client = local_stack.flink_client(servers.home, endpoints.flink, STATE / "artefacts").with_latencies(
        FLINK_SETTINGS
    )
    with iceberg(endpoints) as lake, warmed(servers.home, client) as warm:
        yield Whole(endpoints, lake, endpoints.flink, warm)


@pytest.fixture(scope="package")
def jobs(whole: Whole, pipeline: Pipeline) -> Flink:
    """Every job, for the rest of the package; they end with their cluster."""
    Submitter(
        whole.endpoints,
        pipeline.catalog.with_generations(active_versions(pipeline.control)),
        whole.client,
        pipeline.control,
    ).submit(list(load_jobs(SAMPLE_JOBS)))
    return Flink(whole.flink)


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
