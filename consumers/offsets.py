"""Which offsets may be committed: those below which every record is inserted or dead-lettered."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

Partition = tuple[str, int]


@dataclass
class Span:
    """Consecutive records of a partition that are being landed; `next` is the offset after the last."""

    next: int
    done: bool = False


@dataclass
class _Progress:
    spans: deque[Span] = field(default_factory=deque)
    ready: int | None = None
    """The offset that may be committed and is not yet."""


class OffsetTracker:
    """Spans may finish in any order; an offset is ready when its span and all before it are done.

    One thread only.
    """

    def __init__(self) -> None:
        self._partitions: dict[Partition, _Progress] = {}

    def begin(self, partition: Partition, next_offset: int) -> Span:
        span = Span(next_offset)
        self._partitions.setdefault(partition, _Progress()).spans.append(span)
        return span

    def reached(self, partition: Partition, position: int) -> None:
        """Only control records lie before `position` (the log's end), once all earlier spans are done."""
        self.begin(partition, position).done = True

    def forget(self, partition: Partition) -> None:
        self._partitions.pop(partition, None)

    def put_back(self, partition: Partition, offset: int) -> None:
        """A taken offset was not committed: it is ready again, unless a later one is ready or the partition
        was forgotten."""
        progress = self._partitions.get(partition)
        if progress is not None and progress.ready is None:
            progress.ready = offset

    def take_ready(self) -> dict[Partition, int]:
        """The offsets that became committable since the last call."""
        taken = {}
        for partition, progress in self._partitions.items():
            while progress.spans and progress.spans[0].done:
                progress.ready = progress.spans.popleft().next
            if progress.ready is not None:
                taken[partition] = progress.ready
                progress.ready = None
        return taken
