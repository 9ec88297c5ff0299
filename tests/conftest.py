"""How the tests are divided between two processes, and stacks of real servers for them."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from core.settings import FlinkSettings
from switchboard import stack as local_stack
from switchboard.stack.progress import Progress
from tests import reporting
from tests.launching import LAUNCHER, ROOT
from tests.reporting import RunReport

STATE = ROOT / ".switchboard"
HOMES = os.environ.get("SWITCHBOARD_TEST_HOMES", "")
"""Runs beside each other name their stacks apart with this; one run needs none."""
LANES = ("unit", "live", "faults", "stack", "journeys")
"""The cheapest first, so that its failures are known within a minute; then the longest, so that both
processes end together. Each but `unit` runs in one process; `live` are the demo, and the tests that use Flink
or start stacks, on the demo's servers."""
LIVE_PACKAGES = ("flink_jobs", "schemas", "stack", "streamer")
DEMO = "test_demo.py"
_numbers = itertools.count(101)
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")  # a busy machine is no failure
gc.disable()  # until the tests are collected: a fifth of that time would be spent on garbage collection
# A test's servers run for minutes: HotSpot's second compiler would take a third of their CPU time, and the
# verification of classes a tenth of their starts', which such short runs never win back.
os.environ.setdefault(
    "JAVA_TOOL_OPTIONS",
    "-XX:TieredStopAtLevel=1 -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote",
)
FLINK_SETTINGS = FlinkSettings(buffer_timeout_milliseconds=0, mini_batch_latency_milliseconds=500)
"""Idle jobs use a fifth of the CPU that they use with the defaults: with 0, no thread of each task wakes to
flush its buffers."""
os.environ.setdefault(
    "SWITCHBOARD_FLINK__BUFFER_TIMEOUT_MILLISECONDS", str(FLINK_SETTINGS.buffer_timeout_milliseconds)
)
os.environ.setdefault(
    "SWITCHBOARD_FLINK__MINI_BATCH_LATENCY_MILLISECONDS", str(FLINK_SETTINGS.mini_batch_latency_milliseconds)
)

# many tests wait for what a lander notices by itself
os.environ.setdefault("SWITCHBOARD_LANDING__CHECK_SECONDS", "1")


def lane(nodeid: str) -> str:
    _, cost, package, *_ = nodeid.partition("::")[0].split("/")
    return "live" if package == DEMO or (cost == "stack" and package in LIVE_PACKAGES) else cost


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (LANES.index(lane(item.nodeid)), DEMO not in item.nodeid))
    reporting.rerun_once(items)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(RunReport())


def pytest_unconfigure() -> None:
    LAUNCHER.close()


class ByLane(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        found = lane(nodeid)
        return nodeid.partition("::")[0] if found == "unit" else found


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByLane:
    config.option.loadscopereorder = False
    return ByLane(config, log)


def fresh_home(name: str) -> Path:
    """An empty folder for a stack."""
    home = STATE / f"{HOMES}{name}"
    if (home / "state.json").exists():  # an earlier run was ended before it could clear up
        local_stack.discard(home)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    reporting.HOMES.append(home)
    return home


def start_lock() -> FileLock:
    """Held while a stack starts: two that start at once would compete for the same ports."""
    return FileLock(STATE / ".starting.lock", timeout=300)


def running(home: Path) -> Path:
    """Starts what of the stack does not run yet; the servers' files are fetched once for all."""
    with start_lock():
        local_stack.up(home, Progress(), artefacts=STATE / "artefacts")
    return home


def empty_stack(home: Path) -> Path:
    """Starts the stack with nothing on its servers: what other tests have left there is discarded."""
    if (home / "state.json").exists():
        local_stack.discard(home)
    return running(home)


@pytest.fixture(scope="session")
def worker_home(worker_id: str) -> Iterator[Path]:
    """The folder of this process's stack, which need not be started."""
    home = fresh_home("tests" if worker_id == "master" else f"tests-{worker_id}")
    yield home
    if (home / "state.json").exists():
        local_stack.discard(home)


@pytest.fixture(scope="session")
def stack_home(worker_home: Path) -> Path:
    """One stack of real servers for all tests of a process; if the demo ran before, the servers and jobs that
    it started."""
    return running(worker_home)


@dataclass(frozen=True)
class Space:
    """Names that no other test of the run uses."""

    number: int

    def name(self, prefix: str) -> str:
        return f"{prefix}_{self.number}"


@pytest.fixture
def space() -> Space:
    return Space(next(_numbers))
