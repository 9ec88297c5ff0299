"""A stack of its own: a journey begins as a new user does, with nothing on the servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from switchboard import stack as local_stack
from tests.conftest import start


@pytest.fixture(scope="package")
def home() -> Iterator[Path]:
    made, _ = start("journeys")
    yield made
    local_stack.discard(made)
