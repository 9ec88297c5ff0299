"""The browser that is measured in."""

from __future__ import annotations

import shutil

from core.errors import MisconfiguredError

FLAGS = ("--no-sandbox", "--disable-gpu")


def chromium() -> str:
    """Its path. Raises MisconfiguredError if there is none."""
    found = shutil.which("chromium")
    if found is None:
        raise MisconfiguredError("there is no browser to measure in", "install Debian's package chromium")
    return found
