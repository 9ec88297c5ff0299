"""The run's one stack of real servers, and each test's own databases in it."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.settings import Endpoints
from switchboard import stack as local_stack
from switchboard.stack.progress import Progress
from tests.pipeline import ROOT, Pipeline, make_pipeline

STATE = ROOT / ".switchboard"
HOMES = os.environ.get("SWITCHBOARD_TEST_HOMES", "")
"""Runs beside each other name their stacks apart with this; one run needs none."""
_numbers = itertools.count(1)


def start(name: str) -> tuple[Path, Endpoints]:
    """A stack with a folder and data of its own; the servers' files are fetched once for all."""
    home = STATE / f"{HOMES}{name}"
    if (home / "state.json").exists():  # an earlier run was ended before it could clear up
        local_stack.down(home)
    shutil.rmtree(home, ignore_errors=True)
    return home, local_stack.up(home, Progress(), artefacts=STATE / "artefacts")


@pytest.fixture(scope="session")
def stack_home() -> Iterator[Path]:
    home, _ = start("tests")
    yield home
    local_stack.down(home)


@pytest.fixture(scope="session")
def stack(stack_home: Path) -> Endpoints:
    return local_stack.endpoints(stack_home)


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
def pipeline(stack_home: Path, stack: Endpoints) -> Iterator[Pipeline]:
    """Every contract applied, and one lander running for the whole run."""
    made = make_pipeline(stack_home, stack)
    made.apply()
    with made.lander() as lander:
        yield made
        assert lander.poll() is None, f"the lander ended; see {stack_home / 'logs' / 'lander.log'}"
    made.control.close()
    made.clickhouse.close()
