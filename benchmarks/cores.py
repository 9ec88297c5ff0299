"""Whose the machine's cores are while something is measured."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil

from switchboard import stack


class Cores:
    """Begins to count when made.

    `others` are processes beside the stack's parts, by name; a part's children count with it.
    """

    def __init__(self, home: Path, others: dict[str, int]) -> None:
        self._roots = {status.name: status.pid for status in stack.statuses(home) if status.pid} | others
        self._began, self._before = time.monotonic(), self._spent()

    def used(self) -> dict[str, float]:
        """Name -> cores since then, the largest first.

        `browser` is every Chromium below this process, `measuring` the process itself.
        """
        seconds, after = time.monotonic() - self._began, self._spent()
        found = {name: (after[name] - self._before[name]) / seconds for name in after}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def _spent(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, pid in self._roots.items():
            found[name] = sum(_seconds(process) for process in _family(pid))
        own = _family(os.getpid())
        found["measuring"] = _seconds(own[0])
        found["browser"] = sum(_seconds(process) for process in own[1:] if "chrom" in process.name())
        return found


def _family(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
