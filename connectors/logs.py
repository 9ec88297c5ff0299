"""Which lines of Connect's log tell of one connector, and how much Connect logs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

BEGINNING = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
STACK_FRAME = re.compile(r"\s+(at |\.\.\. \d+ more)")
LOGGERS = ("io.debezium", "org.apache.kafka.connect")


def lines_of(log: Path, names: tuple[str, ...], last: int) -> list[str]:
    """The last lines of the log, only of events that name one of `names` as a word; all events if there are none."""
    wanted = re.compile("|".join(rf"(?<![\w./-]){re.escape(name)}(?![\w./])" for name in names)) if names else None
    with log.open(errors="replace") as text:
        found = [event for event in _events(text) if wanted is None or wanted.search(event[0])]
    return [line for event in found for line in event if not STACK_FRAME.match(line)][-last:]


def _events(lines: Iterable[str]) -> Iterator[list[str]]:
    """An event is a line that begins with a time, and what follows it: a trace, or a listing of settings."""
    event: list[str] = []
    for line in lines:
        if BEGINNING.match(line) and event:
            yield event
            event = []
        event.append(line.rstrip("\n"))
    if event:
        yield event
