"""A folder for a stack of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from switchboard import stack as local_stack
from tests.conftest import HOMES, STATE


@pytest.fixture
def home(stack_home: Path) -> Iterator[Path]:
    """A stack's folder that has never been used, beside the servers' files that the run's stack has
    fetched."""
    home = STATE / f"{HOMES}refusals"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / "artefacts").mkdir()
    for name in ("jars", "mysql"):
        (home / "artefacts" / name).symlink_to(STATE / "artefacts" / name)
    yield home
    if (home / "state.json").exists():
        local_stack.discard(home)
    shutil.rmtree(home)
