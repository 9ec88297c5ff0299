"""Files that an operator names in the settings: loaded, or refused in one line that says which and why."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from core.errors import ContractError, MisconfiguredError
from core.modules import load_modules


def names(where: str) -> list[str]:
    return [str(module.word) for module in load_modules(where, "jobs")]


def test_a_folder_is_loaded_file_by_file_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("two", "one"):
        (tmp_path / f"{name}.py").write_text(f"word = {name!r}")
    (tmp_path / "notes.txt").write_text("no Python")
    assert names(str(tmp_path)) == ["one", "two"]


def test_a_file_that_was_rewritten_at_once_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = tmp_path / "file.py"
    for word in ("one", "two"):
        file.write_text(f"word = {word!r}")
        os.utime(file, (1, 1))
        assert names(str(tmp_path)) == [word]
    assert [path.name for path in tmp_path.iterdir()] == ["file.py"]


def test_a_package_is_loaded_with_its_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "shop_of_tests"
    package.mkdir()
    (package / "__init__.py").write_text("word = 'package'")
    (package / "inner.py").write_text("word = 'inner'")
    assert names("shop_of_tests") == ["package", "inner"]
    for name in ("shop_of_tests", "shop_of_tests.inner"):
        del sys.modules[name]


@pytest.mark.parametrize("where", ["", "no_such", "no_such.inner", "/no/such", "a b", ".x", "core.nothing"])
def test_what_does_not_exist_is_refused(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MisconfiguredError, match="jobs: there is no folder or package") as refused:
        list(load_modules(where, "jobs"))
    assert refused.value.remedy == "set `jobs` to an existing one"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = (", "SyntaxError: '(' was never closed"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("int('x')", "ValueError: invalid literal"),
        ("raise SystemError('two\\nlines')", "SystemError: two lines"),
    ],
)
def test_a_file_that_fails_is_named_with_the_reason(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(MisconfiguredError) as refused:
        list(load_modules(str(tmp_path), "jobs"))
    assert str(refused.value).startswith(f"jobs: {tmp_path / 'broken.py'}: {reason}")
    assert "\n" not in str(refused.value)


def test_what_a_contract_says_of_itself_is_passed_on_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "from core.errors import ContractError\nraise ContractError('no key', 'name one')"
    )
    with pytest.raises(ContractError, match=r"^no key$"):
        list(load_modules(str(tmp_path), "contracts"))
