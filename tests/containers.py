"""Whether docker-compose.yml can be started here."""

from __future__ import annotations

import subprocess
from functools import cache

COMMANDS = ("docker info", "docker compose version")


@cache
def lacking_container_command() -> str | None:
    """The first command that a container engine would answer and that fails here; None if there is an
    engine."""
    return next((command for command in COMMANDS if not _works(command)), None)


def _works(command: str) -> bool:
    try:
        return subprocess.run(command.split(), capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
