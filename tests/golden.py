"""What people review, whole: run with ``UPDATE_GOLDENS=1`` to update it, then read the difference."""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "unit" / "schemas" / "golden"


def reviewed(name: str, text: str) -> str:
    """Returns the reviewed text of the file `name`, which is `text` if it is to be updated."""
    file = GOLDEN / name
    if os.environ.get("UPDATE_GOLDENS"):
        file.write_text(text)
    return file.read_text()
