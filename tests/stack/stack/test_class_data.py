"""A JVM's classes are stored once and mapped by later starts; an archive that cannot be used changes
nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from switchboard.stack import class_data, java
from switchboard.stack.progress import Progress
from tests.conftest import STATE
from tests.pipeline import eventually

PROGRAM = """class Waits {
    public static void main(String[] words) throws Exception {
        System.out.println("up");
        Thread.sleep(60000);
    }
}"""


@pytest.fixture
def runtime() -> Path:
    found = java.find_or_fetch(STATE / "artefacts", Progress())
    if not class_data.is_possible(found):
        pytest.skip("this Java has no jcmd")
    return found


@pytest.fixture
def classes(tmp_path: Path, runtime: Path) -> Path:
    """A jar, as classes of a folder are not archived."""
    source = tmp_path / "Waits.java"
    source.write_text(PROGRAM)
    tools = runtime.resolve().parent
    subprocess.run([tools / "javac", "-d", tmp_path, source], check=True)
    subprocess.run([tools / "jar", "cf", tmp_path / "waits.jar", "-C", tmp_path, "Waits.class"], check=True)
    return tmp_path / "waits.jar"


@contextmanager
def started(runtime: Path, archive: Path, classes: Path) -> Iterator[int]:
    """A JVM that has loaded the classes; its process's id."""
    command = [str(runtime), *class_data.flags(archive, runtime), "-cp", str(classes), "Waits"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            yield process.pid
        finally:
            process.kill()


def maps(pid: int, archive: Path) -> bool:
    return str(archive) in Path(f"/proc/{pid}/maps").read_text()


def test_what_the_first_start_stores_is_mapped_by_the_second(runtime: Path, classes: Path) -> None:
    archive = class_data.archive(classes.parent, "waits", runtime, [classes])
    with started(runtime, archive, classes) as pid:
        assert not maps(pid, archive)
        assert class_data.store(archive, runtime, pid) == ""
    with started(runtime, archive, classes) as pid:
        eventually(lambda: maps(pid, archive))
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]


def test_an_archive_that_is_broken_off_is_ignored(runtime: Path, classes: Path) -> None:
    archive = class_data.archive(classes.parent, "waits", runtime, [classes])
    archive.parent.mkdir()
    archive.write_bytes(b"half of it")
    with started(runtime, archive, classes) as pid:
        assert not maps(pid, archive)


def test_a_jvm_that_has_ended_stores_nothing_and_the_reason_is_reported(runtime: Path, classes: Path) -> None:
    archive = class_data.archive(classes.parent, "waits", runtime, [classes])
    with started(runtime, archive, classes) as pid:
        pass
    assert class_data.store(archive, runtime, pid) != ""
    assert not archive.exists()


def test_other_jars_or_options_have_another_archive(
    runtime: Path, classes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def archive(*jars: Path) -> Path:
        return class_data.archive(classes.parent, "waits", runtime, jars)

    before = archive(classes)
    assert archive(classes) == before
    assert archive(classes.with_name("newer.jar")) != before
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xint")
    assert archive(classes) != before
