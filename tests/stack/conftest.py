"""What only some tests of the run's stack need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.rest import RestCatalog

from core.control.results import pointers
from core.settings import Endpoints, FlinkEndpoint
from flink_jobs.client import FlinkClient
from flink_jobs.jobs import JOBS
from flink_jobs.rest import ENDED, Flink
from flink_jobs.submit import Submitter
from switchboard import stack as local_stack
from switchboard.stack import parts
from switchboard.stack.progress import Progress
from tests.conftest import STATE, Servers
from tests.pipeline import Pipeline


@dataclass(frozen=True)
class Whole:
    """The run's stack with the lake and Flink."""

    endpoints: Endpoints
    lake: Catalog
    flink: FlinkEndpoint
    client: FlinkClient


@pytest.fixture(scope="session")
def whole_home(stack_home: Path) -> Path:
    local_stack.up(stack_home, Progress(), parts.BASE + parts.EXTRA, artefacts=STATE / "artefacts")
    return stack_home


@pytest.fixture(scope="session")
def whole(servers: Servers, whole_home: Path) -> Iterator[Whole]:
    endpoints = local_stack.endpoints(whole_home) if servers.local else servers.endpoints
    assert endpoints.flink is not None
    with iceberg(endpoints) as lake:
        yield Whole(endpoints, lake, endpoints.flink, local_stack.flink_client(servers.home, endpoints.flink, STATE / "artefacts"))


@pytest.fixture(scope="session")
def jobs(whole: Whole, pipeline: Pipeline) -> Iterator[Flink]:
    """Every job, for the rest of the run."""
    Submitter(whole.endpoints, pipeline.catalog.at(pointers(pipeline.control)), whole.client, pipeline.control).submit(JOBS)
    flink = Flink(whole.flink)
    yield flink
    for running in flink.jobs():
        if running.state not in ENDED:
            flink.cancel(running.id)


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
