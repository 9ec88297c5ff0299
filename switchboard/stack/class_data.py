"""Class-data archives (JEP 350): a JVM that maps its classes from a file starts in two thirds of the CPU
time.

A server's first start records the classes that it loads, `store` writes them once it answers, and later
starts map them. A JVM that cannot use an archive ignores it. JVMs without `jcmd`, such as runtimes without
development tools, use none.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

FOLDER = "class-data"
KEPT_SECONDS = 86_400
"""Age at which archives of other versions or options, about 60 MB each, are removed."""
QUIET = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off")
"""An unusable archive would be reported in the server's log at each start."""


def archive(artefacts: Path, server: str, java: Path, jars: Iterable[Path]) -> Path:
    """Returns the file of a server's archive, which may not exist.

    Its name depends on the JVM, the options and the jars.
    """
    runtime = java.resolve()
    known = (
        str(runtime),
        runtime.stat().st_mtime,
        os.environ.get("JAVA_TOOL_OPTIONS"),
        sorted(jar.name for jar in jars),
    )
    key = hashlib.sha256(repr(known).encode()).hexdigest()[:12]
    return artefacts.resolve() / FOLDER / f"{server}-{key}.jsa"


def flags(file: Path, java: Path) -> tuple[str, ...]:
    """Returns the JVM's flags: to use the archive, or to record one."""
    if file.exists():
        return (f"-XX:SharedArchiveFile={file}", *QUIET)
    return ("-XX:+RecordDynamicDumpInfo", *QUIET) if is_possible(java) else ()


def is_possible(java: Path) -> bool:
    """Whether this JVM has the tool that `store` needs."""
    return _jcmd(java).exists()


def store(file: Path, java: Path, pid: int) -> str:
    """Writes the archive of a JVM that was started with `flags`, which pauses meanwhile. Blocks for some
    seconds.

    Returns an empty string, or the reason of a failure.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{pid}.partial")
    command = [str(_jcmd(java)), str(pid), "VM.cds", "dynamic_dump", str(partial)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        partial.replace(file)  # atomic
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    for other in file.parent.glob(f"{file.name.rpartition('-')[0]}-*"):
        if other != file and other.stat().st_mtime < time.time() - KEPT_SECONDS:
            other.unlink(missing_ok=True)
    return "" if done.returncode == 0 else done.stdout.strip()


def _jcmd(java: Path) -> Path:
    return java.resolve().with_name("jcmd")
