"""What a run of tests tells: the real plugin, in a run of its own over tests that fail as they are told
to."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launching import ROOT

CONFTEST = """
from pathlib import Path
from tests import reporting

def pytest_configure(config):
    config.pluginmanager.register(reporting.RunReport())
    reporting.HOMES.append(Path(__file__).parent / "home")

def pytest_collection_modifyitems(items):
    reporting.rerun_once(items)
"""
FLAKY = """
from pathlib import Path

def test_{number}():
    log = Path({home!r}) / "logs" / "kafka.log"
    before = Path(__file__).with_suffix(".ran")
    if not before.exists():
        before.touch()
        log.write_text("an old line\\n" * 50 + "the broker is fenced\\n")
        assert "landed" == "missing"
"""
BROKEN = """
def test_broken():
    assert "landed" == "missing"
"""


def run(folder: Path, **files: str) -> subprocess.CompletedProcess[str]:
    """Files are named ``stack__test_x``."""
    (folder / "home" / "logs").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "conftest.py").write_text(CONFTEST)
    for name, text in files.items():
        file = folder / "tests" / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    plugins = ("-p", "no:cacheprovider", "-p", "pytest_rerunfailures")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        *plugins,
        "--rootdir",
        str(folder),
        str(folder / "tests"),
    ]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def flaky(folder: Path, number: int) -> str:
    return FLAKY.format(number=number, home=str(folder / "home"))


def test_a_test_against_servers_that_fails_once_is_listed_with_its_assertion_and_the_servers_last_lines(
    tmp_path: Path,
) -> None:
    result = run(tmp_path, stack__test_x=flaky(tmp_path, 1))
    assert result.returncode == 0, result.stdout
    listed = result.stdout[result.stdout.index("FLAKY: failed once") :]
    assert "FLAKY tests/stack/test_x.py::test_1" in listed
    assert "'landed' == 'missing'" in listed
    assert "end of home/kafka.log" in listed
    assert "the broker is fenced" in listed
    assert listed.splitlines().count("an old line") == 11
    assert "1 flaky, 2 allowed: the run passes with them" in listed


@pytest.mark.parametrize(("number", "status"), [(2, 0), (3, 1)])
def test_more_than_two_flaky_tests_fail_the_run(tmp_path: Path, number: int, status: int) -> None:
    result = run(tmp_path, **{f"faults__test_{i}": flaky(tmp_path, i) for i in range(number)})
    assert result.returncode == status, result.stdout
    assert f"{number} flaky, 2 allowed" in result.stdout


def test_what_fails_twice_has_failed_and_is_not_flaky(tmp_path: Path) -> None:
    result = run(tmp_path, stack__test_x=BROKEN, stack__test_y=flaky(tmp_path, 1))
    assert result.returncode == 1
    assert "FLAKY tests/stack/test_y.py::test_1" in result.stdout
    assert "FLAKY tests/stack/test_x.py" not in result.stdout
    assert "first failure of tests/stack/test_x.py::test_broken, in call" in result.stdout
    assert "1 flaky" in result.stdout


def test_a_unit_test_is_never_run_again(tmp_path: Path) -> None:
    result = run(tmp_path, unit__test_x=flaky(tmp_path, 1))
    assert result.returncode == 1
    assert "rerun" not in result.stdout.lower()


def test_time_is_summed_by_folder(tmp_path: Path) -> None:
    result = run(tmp_path, stack__test_x="def test_x(): pass\n", unit__test_y="def test_y(): pass\n")
    summary = result.stdout[result.stdout.index("seconds per folder") :]
    assert re.findall(r"^ +\d+\.\ds (\w+)$", summary, re.MULTILINE) in (["stack", "unit"], ["unit", "stack"])
