"""Selects the lines of Connect's log that concern one connector."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

EVENT_START = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
STACK_FRAME = re.compile(r"\s+(at |\.\.\. \d+ more)")
LOGGERS = ("io.debezium", "org.apache.kafka.connect")


def lines_of(log: Path, names: tuple[str, ...], last: int) -> list[str]:
    """The last `last` lines of the log, without stack frames, of events that contain one of `names` as a
    word; of all events if `names` is empty."""
    wanted = (
        re.compile("|".join(rf"(?<![\w./-]){re.escape(name)}(?![\w./])" for name in names)) if names else None
    )
    with log.open(errors="replace") as text:
        found = [event for event in _events(text) if wanted is None or wanted.search(event[0])]
    return [line for event in found for line in event if not STACK_FRAME.match(line)][-last:]


def _events(lines: Iterable[str]) -> Iterator[list[str]]:
    """Groups lines into events: a line that starts with a time, and the lines that follow it, such as a stack
    trace."""
    event: list[str] = []
    for line in lines:
        if EVENT_START.match(line) and event:
            yield event
            event = []
        event.append(line.rstrip("\n"))
    if event:
        yield event
