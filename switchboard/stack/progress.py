"""What the user sees while the stack is set up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


class Progress:
    """Draws on a terminal; prints a line an event elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False)

    def track(self, what: str, items: Iterable[T], total: int) -> Iterator[T]:
        if self.console.is_terminal:
            yield from track(items, f"  fetching {what}", total, console=self.console)
        else:
            self.say(f"  fetching {what} ({total} files)")
            yield from items
