"""Progress messages of a setup or start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


class Progress:
    """Draws a progress bar on a terminal; prints a line for each event elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)

    def report(self, text: str) -> None:
        self.console.print(text, highlight=False)

    def track(self, name: str, items: Iterable[T], total: int) -> Iterator[T]:
        if self.console.is_terminal:
            yield from track(items, f"  fetching {name}", total, console=self.console)
        else:
            self.report(f"  fetching {name} ({total} files)")
            yield from items
