"""The run's one stack of real servers, and each test's own databases in it; with a container engine, docker-compose.yml's beside it."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from testcontainers.compose import DockerCompose

from core.settings import Endpoints
from switchboard import stack as local_stack
from switchboard.stack import compose, health, parts
from switchboard.stack.progress import Progress
from tests.pipeline import ROOT, Pipeline, eventually, make_pipeline

STATE = ROOT / ".switchboard"
HOMES = os.environ.get("SWITCHBOARD_TEST_HOMES", "")
"""Runs beside each other name their stacks apart with this; one run needs none."""
_numbers = itertools.count(1)
# A test's servers run for minutes: a third of their time would go to HotSpot's second compiler, and never be won back.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")


def start(name: str) -> tuple[Path, Endpoints]:
    """A stack with a folder and data of its own; the servers' files are fetched once for all."""
    home = STATE / f"{HOMES}{name}"
    if (home / "state.json").exists():  # an earlier run was ended before it could clear up
        local_stack.discard(home)
    shutil.rmtree(home, ignore_errors=True)
    return home, local_stack.up(home, Progress(), artefacts=STATE / "artefacts")


@pytest.fixture(scope="session")
def stack_home() -> Iterator[Path]:
    home, _ = start("tests")
    yield home
    local_stack.discard(home)


@pytest.fixture(scope="session")
def containers() -> Iterator[Endpoints]:
    """The stack of docker-compose.yml: the other producer of an `Endpoints`."""
    lacking = [" ".join(command) for command in (("docker", "info"), ("docker", "compose", "version")) if not works(command)]
    if lacking:
        pytest.skip(f"docker-compose.yml cannot be tried without a container engine: `{lacking[0]}` fails")
    values = compose.environment(STATE / "compose.env")
    with DockerCompose(ROOT, env_file=str(STATE / "compose.env"), profiles=["all"], wait=False):
        endpoints = compose.endpoints(values)
        for part in parts.BASE + parts.EXTRA:
            eventually(partial(health.answers, part, endpoints), within=180)
        yield endpoints


def works(command: tuple[str, ...]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@dataclass(frozen=True)
class Servers:
    home: Path
    """Where logs go; the local stack's state too."""
    endpoints: Endpoints
    local: bool


@pytest.fixture(scope="session", params=["local", "containers"])
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


@pytest.fixture(scope="session")
def stack(servers: Servers) -> Endpoints:
    return servers.endpoints


@dataclass(frozen=True)
class Space:
    """Names that no other test of the run uses."""

    number: int

    def name(self, prefix: str) -> str:
        return f"{prefix}_{self.number}"


@pytest.fixture
def space() -> Space:
    return Space(next(_numbers))


@pytest.fixture(scope="session")
def pipeline(servers: Servers) -> Iterator[Pipeline]:
    """Every contract applied, and one lander running for the whole run."""
    made = make_pipeline(servers.home, servers.endpoints)
    made.apply()
    with made.lander() as lander:
        yield made
        assert lander.poll() is None, f"the lander ended; see {servers.home / 'logs' / 'lander.log'}"
    made.control.close()
    made.clickhouse.close()
