"""Loads the Python files that an operator names in the settings: contracts, jobs."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

from core.errors import MisconfiguredError, SwitchboardError


def load_modules(where: str, what: str) -> Iterator[ModuleType]:
    """Executes and yields every module of a package, by its dotted name, or every ``*.py`` file of a folder.

    `what` names their content in errors, such as ``contracts``. Raises MisconfiguredError if there is no such
    package or folder, or if a module fails; errors of this project that a module raises pass unchanged.
    """
    if where and Path(where).is_dir():
        for file in sorted(Path(where).glob("*.py")):
            yield _executed(str(file), what, partial(_load_file, file, what))
        return
    package = _executed(where, what, partial(_import_package, where, what))
    yield package
    for info in pkgutil.iter_modules(getattr(package, "__path__", [])):
        name = f"{where}.{info.name}"
        yield _executed(name, what, partial(importlib.import_module, name))


def _load_file(file: Path, what: str) -> ModuleType:
    """Compiles the file each time: Python's own cache is blind to a change within a second, and would leave
    its files in the operator's folder."""
    module = ModuleType(f"_{what}_{file.stem}")
    module.__file__ = str(file)
    exec(compile(file.read_bytes(), str(file), "exec"), vars(module))
    return module


def _import_package(name: str, what: str) -> ModuleType:
    missing = MisconfiguredError(
        f"{what}: there is no folder or package {name!r}", f"set `{what}` to an existing one"
    )
    if not all(part.isidentifier() for part in name.split(".")):
        raise missing
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            raise missing from error
        raise  # the package imports another one, which is missing


def _executed(name: str, what: str, execute: Callable[[], ModuleType]) -> ModuleType:
    try:
        return execute()
    except SwitchboardError:
        raise
    except Exception as error:  # whatever the operator's code raises
        reason = " ".join(str(error).split())
        raise MisconfiguredError(f"{what}: {name}: {type(error).__name__}: {reason}", "correct it") from error
