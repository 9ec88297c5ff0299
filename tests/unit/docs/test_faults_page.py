"""docs/faults.md names tests that exist, and leaves out none of tests/faults."""

from __future__ import annotations

import re
from pathlib import Path

from tests.launching import ROOT

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
TEST = re.compile(r"^def (test_\w+)", re.MULTILINE)


def named() -> set[tuple[str, str]]:
    return set(NAMED.findall((ROOT / "docs" / "faults.md").read_text()))


def declared_in(path: Path) -> set[tuple[str, str]]:
    return {(str(path.relative_to(ROOT)), name) for name in TEST.findall(path.read_text())}


def test_every_test_that_is_named_exists() -> None:
    assert named() - {test for path, _ in named() for test in declared_in(ROOT / path)} == set()


def test_every_fault_test_is_named() -> None:
    assert {
        test for path in (ROOT / "tests" / "faults").glob("test_*.py") for test in declared_in(path)
    } - named() == set()
