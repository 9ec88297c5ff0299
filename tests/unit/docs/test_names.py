"""Names use the terms of docs/glossary.md, and none of the words that it rules out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launching import ROOT

PACKAGES = (
    "benchmarks",
    "connectors",
    "consumers",
    "core",
    "flink_jobs",
    "schemas",
    "simulator",
    "streamer",
    "switchboard",
    "tests",
    "verify",
)
OVERRIDDEN = {"connection_made"}
"""Names that a base class of a library prescribes."""
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def refused_words() -> frozenset[str]:
    _, _, section = (ROOT / "docs" / "glossary.md").read_text().partition("## Words that are not used")
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")][1:]
    return frozenset(word.strip() for row in rows for word in row.split(","))


def words(text: str) -> list[str]:
    return [word.lower() for word in WORD.findall(text)]


def identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name that the module defines, with its line: what it merely uses is another's."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if name not in OVERRIDDEN:
                    yield node.lineno, name
            case (
                ast.arg(arg=name)
                | ast.Name(id=name, ctx=ast.Store())
                | ast.Attribute(attr=name, ctx=ast.Store())
            ):
                yield node.lineno, name


def help_texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Metrics' names and descriptions, the texts of options and arguments, and the docstrings of commands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            function = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if function in ("Counter", "Gauge", "Histogram", "Option", "Argument", "Typer"):
                values = [*node.args, *(keyword.value for keyword in node.keywords)]
                for value in values:
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        yield node.lineno, value.value
        if isinstance(node, ast.FunctionDef) and any(
            "command" in ast.unparse(mark) for mark in node.decorator_list
        ):
            yield node.lineno, ast.get_docstring(node) or ""


def refused(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    found = [*identifiers(tree), *help_texts(tree)]
    return [
        f"{path.relative_to(ROOT)}:{line}: {text!r}"
        for line, text in found
        if refused_words() & set(words(text))
    ]


def modules(package: str) -> list[Path]:
    return sorted(
        path for path in (ROOT / package).rglob("*.py") if not {"gen", "node_modules"} & set(path.parts)
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_no_refused_word_is_in_a_name_or_a_help_text(package: str) -> None:
    assert not (found := [line for path in modules(package) for line in refused(path)]), "\n".join(found)


def test_the_module_s_path_is_a_name_too() -> None:
    paths = [str(path.relative_to(ROOT)) for package in PACKAGES for path in modules(package)]
    assert [path for path in paths if refused_words() & set(words(path))] == []


@pytest.mark.parametrize(
    "source",
    [
        "def told() -> None: ...",
        "def f(stored_place: int) -> None: ...",
        "class MadeThing: ...",
        "self.standing_row = 1",
        'Counter("switchboard_told_total", "Lines")',
        'Option(help="Where it stands")',
        '@app.command()\ndef verify() -> None:\n    """Make it anew."""',
    ],
)
def test_a_refused_word_is_found(source: str) -> None:
    tree = ast.parse(source)
    assert [text for _, text in [*identifiers(tree), *help_texts(tree)] if refused_words() & set(words(text))]
